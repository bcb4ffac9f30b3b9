#include "model/pass.h"

// scale * x A^T into the workspace. [rows, rank]
static Tensor narrow(const Pass *pass, Tensor x, const LinearWeights *w)
{
    const Kernels *kernels = pass->kernels;
    Tensor low = tensor_of(pass->workspace->low, x.rows, w->a.rows);
    kernels->product_nt(NULL, low, x, w->a);
    kernels->scale(NULL, low.data, w->scale, low.rows * low.width);
    return low;
}

void linear_forward(const Pass *pass, Tensor out, Tensor x, const LinearWeights *w)
{
    const Kernels *kernels = pass->kernels;
    kernels->product_nt(NULL, out, x, w->weight);
    if (w->a.rows == 0)
        return;
    Tensor wide = tensor_of(pass->workspace->wide, out.rows, out.width);
    kernels->product_nt(NULL, wide, narrow(pass, x, w), w->b);
    kernels->add(NULL, out.data, wide.data, out.rows * out.width);
}

void linear_backward(const Pass *pass, Tensor dx, bool accumulate, Tensor y, Tensor x,
                     const LinearWeights *w, const LinearGradient *g)
{
    const Kernels *kernels = pass->kernels;
    if (g->weight)
        kernels->product_tn(NULL, tensor_of(g->weight, w->weight.rows, w->weight.width), y, x);
    kernels->product_nn(NULL, dx, y, w->weight, accumulate);
    if (!g->a)
        return;
    Tensor low = narrow(pass, x, w);
    kernels->product_tn(NULL, tensor_of(g->b, w->b.rows, w->b.width), y, low);
    kernels->product_nn(NULL, low, y, w->b, false);
    kernels->scale(NULL, low.data, w->scale, low.rows * low.width);
    kernels->product_tn(NULL, tensor_of(g->a, w->a.rows, w->a.width), low, x);
    kernels->product_nn(NULL, dx, low, w->a, true);
}
