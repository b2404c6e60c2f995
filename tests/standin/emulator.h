// What a CUDA kernel finds around itself, for g++: put before a kernel's source. It includes no
// header of the system, so that each of many kernels compiles in a moment.

#define __global__
#define __device__
#define __constant__ static
#define __shared__ static  // blocks run one after another
#define __syncthreads() emulator_wait()

struct Position { unsigned x, y, z; };

extern "C" {
extern Position threadIdx, blockIdx, blockDim, gridDim;
void emulator_wait();
void emulator_launch(
    void (*kernel)(void*), void* with, const unsigned* grid, const unsigned* block, bool waits);

double exp(double), expm1(double), log(double), log1p(double), sqrt(double), sin(double);
double cos(double), tanh(double), floor(double), pow(double, double), frexp(double, int*);
double fmod(double, double);
float expf(float), expm1f(float), logf(float), log1pf(float), sqrtf(float), sinf(float);
float cosf(float), tanhf(float), floorf(float), powf(float, float);
}

// CUDA's overloads.
inline float exp(float x) { return expf(x); }
inline float log(float x) { return logf(x); }
inline float sqrt(float x) { return sqrtf(x); }

inline double __longlong_as_double(long long bits)
{
    double x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

namespace emulator {

// What a parameter is: p for a pointer, then a letter for the kind and the bytes of the number.
template <typename T> struct Kind;
template <> struct Kind<bool> { static constexpr char letter = 'b'; };
template <> struct Kind<signed char> { static constexpr char letter = 'i'; };
template <> struct Kind<short> { static constexpr char letter = 'i'; };
template <> struct Kind<int> { static constexpr char letter = 'i'; };
template <> struct Kind<long long> { static constexpr char letter = 'i'; };
template <> struct Kind<unsigned char> { static constexpr char letter = 'u'; };
template <> struct Kind<unsigned short> { static constexpr char letter = 'u'; };
template <> struct Kind<unsigned int> { static constexpr char letter = 'u'; };
template <> struct Kind<unsigned long long> { static constexpr char letter = 'u'; };
template <> struct Kind<float> { static constexpr char letter = 'f'; };
template <> struct Kind<double> { static constexpr char letter = 'f'; };

template <typename T> struct Describe {
    static char* into(char* text)
    {
        *text++ = Kind<T>::letter;
        *text++ = '0' + sizeof(T);
        return text;
    }
};
template <typename T> struct Describe<const T> : Describe<T> {};
template <typename T> struct Describe<T*> {
    static char* into(char* text)
    {
        *text++ = 'p';
        return Describe<T>::into(text);
    }
};

template <unsigned long... I> struct Indices {};

template <typename... Parameters> struct Call {
    void (*kernel)(Parameters...);
    void** values;

    template <unsigned long... I> void run(Indices<I...>)
    {
        kernel(*(Parameters*)values[I]...);
    }
    static void one(void* call)
    {
        ((Call*)call)->run(Indices<__integer_pack(sizeof...(Parameters))...>());
    }
};

template <typename... Parameters>
void start(
    void (*kernel)(Parameters...), void** values, const unsigned* grid, const unsigned* block,
    bool waits)
{
    Call<Parameters...> call{kernel, values};
    emulator_launch(Call<Parameters...>::one, &call, grid, block, waits);
}

template <typename... Parameters> void describe(void (*)(Parameters...), char* text)
{
    ((text = Describe<Parameters>::into(text), *text++ = ' '), ...);
    *text = 0;
}

}  // namespace emulator
