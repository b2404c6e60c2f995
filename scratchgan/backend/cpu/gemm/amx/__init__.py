"""Matrix products on Intel's matrix unit (AMX)."""
