// What Node programs do, with an output that is always the same: run by tests/integration/test_real_programs.py.
"use strict";
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");
const child_process = require("child_process");
const crypto = require("crypto");
const fs = require("fs");
const http = require("http");
const os = require("os");
const path = require("path");
const zlib = require("zlib");

const sha = (text) => crypto.createHash("sha256").update(text).digest("hex");
const say = (...words) => console.log(words.join(" "));

if (!isMainThread) {
    let sum = 0;
    for (let i = 0; i < workerData.n; i++) sum = (sum * 31 + i) % 1000003;
    Atomics.add(new Int32Array(workerData.shared), 0, 1);
    parentPort.postMessage(sum);
    return;
}
if (process.argv[2] === "child") {
    process.on("message", (n) => process.send(n * n, () => process.disconnect()));
    return;
}

const inWorker = (n, shared) => new Promise((done, failed) => {
    const worker = new Worker(__filename, { workerData: { n, shared } });
    worker.once("message", done).once("error", failed);
});

const inChild = (n) => new Promise((done) => {
    const child = child_process.fork(__filename, ["child"]);
    let answer;
    child.on("message", (m) => { answer = m; }).on("exit", (code) => done(`${answer}:${code}`));
    child.send(n);
});

const fetched = (port, i) => new Promise((done, failed) => {
    http.get({ port, path: `/${i}`, agent: new http.Agent() }, (answer) => {
        let text = "";
        answer.on("data", (d) => { text += d; }).on("end", () => done(`${answer.statusCode} ${sha(text)}`));
    }).on("error", failed);
});

async function main() {
    const shared = new SharedArrayBuffer(4);
    say("workers", ...await Promise.all([10000, 20000, 300000, 4000000].map((n) => inWorker(n, shared))));
    say("atomics", new Int32Array(shared)[0]);
    say("children", ...await Promise.all([2, 3, 4].map(inChild)));
    const done = child_process.spawnSync(process.execPath, ["-e", "process.exitCode = 5; console.log('spawned')"]);
    say("spawn", done.status, done.stdout.toString().trim());
    say("killed", child_process.spawnSync("/bin/sh", ["-c", "kill -SEGV $$"]).signal);

    const text = JSON.stringify(Array.from({ length: 5000 }, (_, i) => ({ i, s: String(i).repeat(3) })));
    say("zlib", sha(zlib.gunzipSync(zlib.gzipSync(text))) === sha(text));
    say("pbkdf2", ...await Promise.all(["a", "b", "c", "d", "e", "f"].map((salt) => new Promise((ok, no) =>
        crypto.pbkdf2("key", salt, 5000, 16, "sha512", (e, key) => (e ? no(e) : ok(key.toString("hex"))))))));

    const server = http.createServer((request, answer) => answer.end(request.url.repeat(500)));
    await new Promise((ok) => server.listen(0, "127.0.0.1", ok));
    say("http", sha((await Promise.all(Array.from({ length: 60 }, (_, i) => fetched(server.address().port, i)))).join()));
    await new Promise((ok) => server.close(ok));

    const folder = await fs.promises.mkdtemp(path.join(os.tmpdir(), "smoke-"));
    await Promise.all(Array.from({ length: 40 }, (_, i) => fs.promises.writeFile(path.join(folder, String(i)), text.slice(0, i * 100))));
    const sizes = await Promise.all((await fs.promises.readdir(folder)).map(async (f) => (await fs.promises.stat(path.join(folder, f))).size));
    say("files", sizes.reduce((a, b) => a + b));
    await fs.promises.rm(folder, { recursive: true });

    // (func (export "f") (param i32) (result i32) local.get 0 local.get 0 i32.mul)
    const wasm = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 6, 1, 96, 1, 127, 1, 127,
        3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 0, 108, 11])));
    let sum = 0;
    for (let i = 0; i < 300000; i++) sum = (sum + wasm.exports.f(i)) | 0;
    say("wasm", sum);

    let caught = 0;
    const throws = (n) => { if (n === 0) throw new RangeError("end"); return throws(n - 1) + 1; };
    for (let i = 0; i < 2000; i++) try { throws(i % 50); } catch (e) { caught += e instanceof RangeError; }
    const deep = () => deep() + 1;
    try { deep(); } catch (e) { say("errors", caught, e.constructor.name); }

    let ticks = 0;
    await new Promise((ok) => { const timer = setInterval(() => { if (++ticks === 20) { clearInterval(timer); ok(); } }, 1); });
    const kept = setInterval(() => {}, 1000);
    process.once("SIGUSR2", () => { say("signal", ticks); process.exitCode = 3; clearInterval(kept); });
    process.kill(process.pid, "SIGUSR2");
}

main();
