// Writes text through node-llama-cpp with `gpu: "cuda"`, as any JavaScript program would.
//
//     node generate.mjs MODEL.gguf PROMPT.txt TOKENS [EXPECTED.txt]
//
// Ends with status 1 when node-llama-cpp did not take the CUDA device, a layer stayed on the CPU, or the text does not
// begin like the expected one.

import {readFile} from "node:fs/promises";
import {getLlama, LlamaCompletion} from "node-llama-cpp";

const [modelPath, promptPath, tokens, expectedPath] = process.argv.slice(2);
// Two devices that are both right may still choose between two almost equal tokens in different ways, and from there
// on write different texts: this many characters have to be the same.
const sameCharacters = 40;

const llama = await getLlama({gpu: "cuda", build: "never"});
console.log(`gpu: ${llama.gpu}, devices: ${(await llama.getGpuDeviceNames()).join(", ")}`);
const model = await llama.loadModel({modelPath, gpuLayers: "max"});
console.log(`layers on the device: ${model.gpuLayers} of ${model.fileInsights.totalLayers}`);
const context = await model.createContext({contextSize: 256, flashAttention: true});
const completion = new LlamaCompletion({contextSequence: context.getSequence()});

const prompt = (await readFile(promptPath, "utf8")).trimEnd();
const begin = performance.now();
const text = await completion.generateCompletion(prompt, {
    maxTokens: Number(tokens),
    temperature: 0,
    onTextChunk: (chunk) => process.stdout.write(chunk)
});
const seconds = (performance.now() - begin) / 1000;
console.log(`\n${tokens} tokens in ${seconds.toFixed(2)} s, the prompt included`);

let failure;
if (llama.gpu !== "cuda")
    failure = `node-llama-cpp uses ${llama.gpu}, not cuda`;
else if (model.gpuLayers !== model.fileInsights.totalLayers)
    failure = "not every layer is on the device";
else if (expectedPath != null) {
    const expected = (await readFile(expectedPath, "utf8")).trim().slice(0, sameCharacters);
    if (!text.trim().startsWith(expected))
        failure = `the text does not begin with "${expected}"`;
}

await context.dispose();
await model.dispose();
await llama.dispose();
if (failure != null) {
    console.error(`error: ${failure}`);
    process.exitCode = 1;
}
