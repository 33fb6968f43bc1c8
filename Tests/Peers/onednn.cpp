// The products of a linear layer by oneDNN, with what a training step does around them: factors rounded to bf16 (or
// fp32 as they are), weights packed, bias, GELU where there is one, the bias's gradient. Tests/Peers/products.py compiles it.
//
//   onednn fp32|bf16 ROWS IN OUT gelu|none…      prints "IN OUT forward|backward SECONDS" for each layer, the median of
//                                                 rounds that go over all layers, so that each finds cold caches as in a step
#include <dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

using namespace dnnl;
using tag = memory::format_tag;
using type = memory::data_type;

static const engine cpu(engine::kind::cpu, 0);
static stream queue(cpu);

static memory filled(memory::desc desc, float value) {
  memory m(desc, cpu);
  auto *p = static_cast<float *>(m.get_data_handle());
  for (size_t i = 0; i < desc.get_size() / sizeof(float); i++) p[i] = value * (float)(i % 13) - 5 * value;
  return m;
}

/// The sum of all rows. oneDNN's own reduction is several times slower.
static void add_rows(const float *x, float *sum, long rows, long columns) {
#pragma omp parallel for
  for (long part = 0; part < columns; part += 96) {
    long end = std::min(columns, part + 96);
    std::fill(sum + part, sum + end, 0.0f);
    for (long r = 0; r < rows; r++)
      for (long c = part; c < end; c++) sum[c] += x[r * columns + c];
  }
}

struct Layer {
  std::string name;
  std::function<void()> forward, backward;
  std::vector<double> seconds[2];
};

/// y = x·Wᵀ + b and, backwards, dx = dy·W, dW = dyᵀ·x, db = Σ dy.
static Layer layer(long rows, long in, long out, bool gelu, type factor) {
  auto x = filled({{rows, in}, type::f32, tag::ab}, 0.1f), y = filled({{rows, out}, type::f32, tag::ab}, 0);
  auto w = filled({{in, out}, type::f32, tag::ba}, 0.01f), b = filled({{1, out}, type::f32, tag::ab}, 0.1f);
  auto turned = memory({{out, in}, type::f32, tag::ab}, cpu, w.get_data_handle());
  memory z = gelu ? filled(y.get_desc(), 0) : y;
  auto dx = filled(x.get_desc(), 0), dw = filled({{out, in}, type::f32, tag::ab}, 0), db = filled(b.get_desc(), 0);
  auto dy = filled(y.get_desc(), 0.1f), dz = gelu ? filled(y.get_desc(), 0) : dy;

  matmul::primitive_desc product(
      matmul::desc({{rows, in}, factor, tag::ab}, {{in, out}, factor, tag::any}, b.get_desc(), z.get_desc()), cpu);
  auto copied = [](const memory::desc &wanted, const memory &m) { return wanted == m.get_desc() ? m : memory(wanted, cpu); };
  memory halves = copied(product.src_desc(), x), packed = copied(product.weights_desc(), w);
  eltwise_forward::primitive_desc activation(
      eltwise_forward::desc(prop_kind::forward_training, algorithm::eltwise_gelu_erf, z.get_desc(), 0, 0), cpu);

  matmul::primitive_desc to_input(
      matmul::desc({{rows, out}, factor, tag::ab}, {{out, in}, factor, tag::any}, dx.get_desc()), cpu);
  memory dhalves = copied(to_input.src_desc(), dz), packed_turned = copied(to_input.weights_desc(), turned);
  matmul::primitive_desc to_weights(
      matmul::desc({{out, rows}, factor, tag::ba}, {{rows, in}, factor, tag::any}, dw.get_desc()), cpu);
  memory columns(to_weights.src_desc(), cpu, dhalves.get_data_handle()), strips = copied(to_weights.weights_desc(), x);
  eltwise_backward::primitive_desc slope(
      eltwise_backward::desc(algorithm::eltwise_gelu_erf, dy.get_desc(), z.get_desc(), 0, 0), cpu, activation);

  auto copy = [](reorder &way, memory &from, memory &to) {
    if (from.get() != to.get()) way.execute(queue, from, to);
  };
  Layer made{std::to_string(in) + " " + std::to_string(out), {}, {}, {}};
  made.forward = [=, round = reorder(x, halves), pack = reorder(w, packed), multiply = matmul(product),
                  finish = eltwise_forward(activation)]() mutable {
    copy(round, x, halves);
    copy(pack, w, packed);
    multiply.execute(queue, {{DNNL_ARG_SRC, halves}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_BIAS, b}, {DNNL_ARG_DST, z}});
    if (gelu) finish.execute(queue, {{DNNL_ARG_SRC, z}, {DNNL_ARG_DST, y}});
    queue.wait();
  };
  made.backward = [=, round = reorder(dz, dhalves), pack = reorder(turned, packed_turned), strip = reorder(x, strips),
                   input = matmul(to_input), weights = matmul(to_weights),
                   start = eltwise_backward(slope)]() mutable {
    if (gelu) start.execute(queue, {{DNNL_ARG_SRC, z}, {DNNL_ARG_DIFF_DST, dy}, {DNNL_ARG_DIFF_SRC, dz}});
    copy(round, dz, dhalves);
    copy(pack, turned, packed_turned);
    input.execute(queue, {{DNNL_ARG_SRC, dhalves}, {DNNL_ARG_WEIGHTS, packed_turned}, {DNNL_ARG_DST, dx}});
    copy(strip, x, strips);
    weights.execute(queue, {{DNNL_ARG_SRC, columns}, {DNNL_ARG_WEIGHTS, strips}, {DNNL_ARG_DST, dw}});
    queue.wait();
    add_rows(static_cast<float *>(dz.get_data_handle()), static_cast<float *>(db.get_data_handle()), rows, out);
  };
  return made;
}

int main(int count, char **words) {
  type factor = std::string(words[1]) == "bf16" ? type::bf16 : type::f32;
  long rows = std::atol(words[2]);
  std::vector<Layer> layers;
  for (int i = 3; i + 2 < count; i += 3)
    layers.push_back(
        layer(rows, std::atol(words[i]), std::atol(words[i + 1]), std::string(words[i + 2]) == "gelu", factor));
  auto timed = [](const std::function<void()> &body) {
    auto start = std::chrono::steady_clock::now();
    body();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  for (int round = 0; round < 40; round++) {
    for (auto &one : layers) one.seconds[0].push_back(timed(one.forward));
    for (auto one = layers.rbegin(); one != layers.rend(); one++) one->seconds[1].push_back(timed(one->backward));
  }
  for (auto &one : layers)
    for (int way = 0; way < 2; way++) {
      auto &all = one.seconds[way];
      std::nth_element(all.begin(), all.begin() + all.size() / 2, all.end());
      std::printf("%s %s %.9f\n", one.name.c_str(), way ? "backward" : "forward", all[all.size() / 2]);
    }
}
