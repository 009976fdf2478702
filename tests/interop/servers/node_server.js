// Node's http and https servers with the resources that every peer serves. Run by peers.py: `node_server.js CERTIFICATE`.
// GET /length /chunked /gzip /big?bytes=N /close /empty /hints; POST /echo, and any .../push/file, read by undici.
"use strict";
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const zlib = require("node:zlib");

const GREETING = Buffer.from(JSON.stringify({ message: "grüß dich", n: [...Array(200).keys()] }));

function answer(response, body, headers = {}, status = 200) {
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": body.length,
    "X-Client-Port": String(response.socket.remotePort),
    ...headers,
  });
  response.end(body);
}

function start(response) {
  response.writeHead(200, { "Content-Type": "application/json", "X-Client-Port": String(response.socket.remotePort) });
}

function echo(request, response) {
  const digest = crypto.createHash("sha256");
  let size = 0;
  request.on("data", (piece) => {
    digest.update(piece);
    size += piece.length;
  });
  request.on("end", () => {
    const seen = { ok: true, sha256: digest.digest("hex"), size, method: request.method, headers: request.headers };
    answer(response, Buffer.from(JSON.stringify(seen)));
  });
}

async function form(request, response) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const parsed = await new Response(Buffer.concat(pieces), { headers: { "Content-Type": request.headers["content-type"] } }).formData();
  const seen = { ok: true, fields: {}, files: {} };
  for (const [name, value] of parsed) {
    if (typeof value === "string") {
      seen.fields[name] = value;
    } else {
      const content = Buffer.from(await value.arrayBuffer());
      const sha256 = crypto.createHash("sha256").update(content).digest("hex");
      seen.files[name] = { type: value.type, size: content.length, sha256 };
    }
  }
  answer(response, Buffer.from(JSON.stringify(seen)));
}

function big(response, size) {
  start(response);
  response.write('"');
  let left = Math.floor(size / 65536);
  const piece = Buffer.alloc(65536, "x");
  const more = () => {
    while (left > 0) {
      left -= 1;
      if (!response.write(piece)) return response.once("drain", more);
    }
    return response.end('"');
  };
  more();
}

function application(request, response) {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname.endsWith("/push/file")) return form(request, response);
  switch (url.pathname) {
    case "/echo":
      return echo(request, response);
    case "/length":
      return answer(response, GREETING);
    case "/close":
      return answer(response, GREETING, { Connection: "close" });
    case "/gzip":
      return answer(response, zlib.gzipSync(GREETING), { "Content-Encoding": "gzip" });
    case "/big":
      return big(response, Number(url.searchParams.get("bytes")));
    case "/chunked":
      start(response);
      for (let at = 0; at < GREETING.length; at += 100) response.write(GREETING.subarray(at, at + 100));
      return response.end();
    case "/hints":
      response.writeProcessing();
      return response.writeEarlyHints({ link: "</style.css>; rel=preload" }, () => answer(response, GREETING));
    case "/empty":
      response.writeHead(204, { "X-Client-Port": String(response.socket.remotePort) });
      return response.end();
    default:
      return answer(response, Buffer.from("{}"), {}, 404);
  }
}

const certificate = fs.readFileSync(process.argv[2]);
const plain = http.createServer(application);
const tls = https.createServer({ cert: certificate, key: certificate }, application);
plain.listen(0, "127.0.0.1", () => {
  tls.listen(0, "127.0.0.1", () => {
    console.log(JSON.stringify({ plain: plain.address().port, tls: tls.address().port }));
  });
});
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
