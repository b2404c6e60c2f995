// The kernels that no scalar definition says: noise, optimizers, log_softmax. Compiled once for
// each `real`, with the typedefs and constants that cuda_source.py puts in front. Every loop has
// the stride of the whole grid, so that any number of blocks will do.

#define EACH(i, n)                                                                        \
    for (index_t i = (index_t)blockIdx.x * blockDim.x + threadIdx.x; i < (n);             \
         i += (index_t)gridDim.x * blockDim.x)

// --- Noise: the numbers of counter_rng.py, to the bit -----------------------------------------

// Number `position` of a stream: the finalizer of SplitMix64.
__device__ double uniform_number(unsigned long long key, unsigned long long position)
{
    unsigned long long z = key + (position + 1) * GAMMA;
    z = (z ^ (z >> 30)) * MIX1;
    z = (z ^ (z >> 27)) * MIX2;
    z = z ^ (z >> 31);
    return (double)(z >> 11) * (1.0 / 9007199254740992.0);  // 2**-53
}

// A number of [0, 1) with the bits that `real` holds; rounding could give 1.
__device__ real truncated(double u)
{
    return sizeof(real) == 4 ? (real)(floor(u * 16777216.0) / 16777216.0) : (real)u;
}

extern "C" __global__ void uniform(
    index_t n, unsigned long long key, unsigned long long position, real* out)
{
    EACH(i, n) out[i] = truncated(uniform_number(key, position + i));
}

// Horner's rule, highest power first.
template <int length>
__device__ double polynomial(const double (&coefficients)[length], double x)
{
    double total = coefficients[0];
    for (int k = 1; k < length; k++) total = total * x + coefficients[k];
    return total;
}

// Natural logarithm from exactly rounded operations alone, as counter_rng.log.
__device__ double exact_log(double x)
{
    int exponent;
    double mantissa = frexp(x, &exponent);
    if (mantissa < SQRT_HALF) {
        mantissa = 2 * mantissa;
        exponent = exponent - 1;
    }
    const double s = (mantissa - 1) / (mantissa + 1);
    return s * polynomial(LOG_SERIES, s * s) + exponent * LN2;
}

// The inverse of the normal distribution function: algorithm AS 241.
__device__ double normal_number(double p)
{
    const double q = p - 0.5;
    double r = 0.180625 - q * q;
    if (r >= 0) return q * (polynomial(MIDDLE_TOP, r) / polynomial(MIDDLE_BOTTOM, r));
    r = sqrt(-exact_log(q < 0 ? p : 1 - p));
    const double z = r <= 5
        ? polynomial(TAIL_TOP, r - 1.6) / polynomial(TAIL_BOTTOM, r - 1.6)
        : polynomial(FAR_TAIL_TOP, r - 5) / polynomial(FAR_TAIL_BOTTOM, r - 5);
    return q < 0 ? -z : z;
}

extern "C" __global__ void normal(
    index_t n, unsigned long long key, unsigned long long position, real* out)
{
    // 2**-54 puts the numbers into (0, 1), symmetric about one half.
    EACH(i, n)
    out[i] = (real)normal_number(uniform_number(key, position + i) + 1.0 / 18014398509481984.0);
}

// --- Optimizers -------------------------------------------------------------------------

// One step of stochastic gradient descent; `step` counts those before.
extern "C" __global__ void sgd(
    index_t n, const real* gradient, real* parameter, real* velocity, const long long* step,
    double lr, double momentum, double dampening, double weight_decay, bool nesterov)
{
    const real rate = (real)lr, decay = (real)weight_decay, keep = (real)momentum;
    // The first velocity is the gradient itself, undamped.
    const real enter = (real)(*step > 0 ? 1 - dampening : 1.0);
    EACH(i, n)
    {
        real g = gradient[i] + decay * parameter[i];
        if (keep != 0) {
            const real v = keep * velocity[i] + g * enter;
            velocity[i] = v;
            g = nesterov ? g + keep * v : v;
        }
        parameter[i] = parameter[i] - rate * g;
    }
}

// One step of Adam (Kingma & Ba 2015, algorithm 1); `step` counts this one, too.
extern "C" __global__ void adam(
    index_t n, const real* gradient, real* parameter, real* m, real* v, const long long* step,
    double lr, double beta1, double beta2, double eps, double weight_decay)
{
    __shared__ double step_size, correction;  // powers in double are slow: once for each block
    if (threadIdx.x == 0) {
        const double t = (double)*step;
        step_size = lr / (1 - pow(beta1, t));
        correction = 1 / sqrt(1 - pow(beta2, t));
    }
    __syncthreads();
    const real size = (real)step_size, root = (real)correction;
    const real first = (real)(1 - beta1), second = (real)(1 - beta2);
    const real decay = (real)weight_decay, keep = (real)beta2, small = (real)eps;
    EACH(i, n)
    {
        const real g = gradient[i] + decay * parameter[i];
        const real m_new = m[i] + first * (g - m[i]);
        const real v_new = keep * v[i] + second * g * g;
        m[i] = m_new;
        v[i] = v_new;
        parameter[i] = parameter[i] - size * m_new / (sqrt(v_new) * root + small);
    }
}

// After an optimizer's kernel, or before it: while that runs, all blocks read the count.
extern "C" __global__ void advance(long long* step) { *step += 1; }

// --- log_softmax ------------------------------------------------------------------------

// Lines of `length` elements that lie `inner` apart; a block computes one line at a time.
extern "C" __global__ void log_softmax(
    index_t lines, index_t length, index_t inner, const real* x, real* out)
{
    __shared__ double shared[THREADS];
    const int lane = threadIdx.x;
    for (index_t line = blockIdx.x; line < lines; line += gridDim.x) {
        const index_t start = line / inner * length * inner + line % inner;
        real top = (real)-INFINITE_VALUE;
        for (index_t k = lane; k < length; k += blockDim.x) {
            const real y = x[start + k * inner];
            top = top > y || top != top ? top : y;
        }
        shared[lane] = top;
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            __syncthreads();
            if (lane < half) {
                const double a = shared[lane], b = shared[lane + half];
                shared[lane] = a > b || a != a ? a : b;
            }
        }
        __syncthreads();
        top = (real)shared[0];
        __syncthreads();
        double total = 0;
        for (index_t k = lane; k < length; k += blockDim.x)
            total += exp((real)(x[start + k * inner] - top));
        shared[lane] = total;
        for (int half = blockDim.x / 2; half > 0; half /= 2) {
            __syncthreads();
            if (lane < half) shared[lane] += shared[lane + half];
        }
        __syncthreads();
        const real shift = (real)log((real)shared[0]);
        for (index_t k = lane; k < length; k += blockDim.x) {
            const index_t at = start + k * inner;
            out[at] = x[at] - top - shift;
        }
        __syncthreads();
    }
}
