// Textures and surfaces as CUDA C++ has them.

extern "C" __global__ void rotate(float* out, cudaTextureObject_t image, int width, int height, float angle) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    float u = (x + 0.5f) / width - 0.5f, v = (y + 0.5f) / height - 0.5f;
    float s = sinf(angle), c = cosf(angle);
    out[y * width + x] = tex2D<float>(image, u * c - v * s + 0.5f, v * c + u * s + 0.5f);
}

extern "C" __global__ void fetch(int4* out, cudaTextureObject_t table, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    uchar4 texel = tex1Dfetch<uchar4>(table, i);
    out[i] = make_int4(texel.x, texel.y, texel.z, texel.w);
}

extern "C" __global__ void volume(float* out, cudaTextureObject_t texture, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = tex3D<float>(texture, i * 0.25f, i * 0.125f, i * 0.0625f);
}

extern "C" __global__ void layers(float2* out, cudaTextureObject_t texture, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = tex2DLayered<float2>(texture, i % 4 + 0.5f, i / 4 % 4 + 0.5f, i / 16);
}

extern "C" __global__ void invert(cudaSurfaceObject_t to, cudaSurfaceObject_t from, int width, int height) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= width || y >= height) return;
    uchar4 texel;
    surf2Dread(&texel, from, x * int(sizeof(uchar4)), y);
    texel = make_uchar4(255 - texel.x, 255 - texel.y, 255 - texel.z, texel.w);
    surf2Dwrite(texel, to, x * int(sizeof(uchar4)), y);
}
