// Runs the model, in a worker where there are any. Stands behind onnxruntime-web's script, of which it takes
// InferenceSession, Tensor and env.

const engine = {
  session: null,

  async load({ wasm, model }) {
    env.wasm.numThreads = 1; // more need headers that no file has, and gain little
    env.wasm.wasmBinary = wasm;
    this.session = await InferenceSession.create(model, { executionProviders: ["wasm"] });
    return {};
  },

  async run(inputs) {
    const feeds = {};
    for (const [name, { type, data, dims }] of Object.entries(inputs)) feeds[name] = new Tensor(type, data, dims);
    const start = performance.now();
    const results = await this.session.run(feeds);
    const { data, dims } = results[this.session.outputNames[0]];
    return { data, dims, milliseconds: performance.now() - start };
  },
};

if (typeof WorkerGlobalScope !== "undefined" && self instanceof WorkerGlobalScope) {
  onmessage = async ({ data: { id, call, argument } }) => {
    try {
      postMessage({ id, result: await engine[call](argument) });
    } catch (error) {
      postMessage({ id, error: String(error?.message ?? error) });
    }
  };
}
