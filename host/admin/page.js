// SPDX-License-Identifier: Apache-2.0
// The live page of the admin endpoint. Once a second, while it can be seen, it asks for /status and
// /metrics, and for the requests that are new (POST /requests), one after the other.
//
// What requests hold was written by strangers: it becomes text nodes, by add(), and nothing else.
"use strict";

const PERIOD_MS = 1000, PATIENCE_MS = 10000, WINDOW = 10, KEPT = 200;
const $ = (id) => document.getElementById(id);

/** Add an element to another. A text is its text, whatever is in it. */
function add(to, tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  to.append(element);
  return element;
}

/** Fill a table: each row a list of cells, a cell a text, [text, class] or a function of its <td>. */
function fill(id, rows, empty) {
  const body = document.createElement("tbody");
  for (const row of rows) {
    const tr = add(body, "tr");
    for (const cell of row) {
      if (typeof cell === "function") cell(add(tr, "td"));
      else if (Array.isArray(cell)) add(tr, "td", cell[0], cell[1]);
      else add(tr, "td", cell);
    }
  }
  if (rows.length === 0) add(add(body, "tr"), "td", empty, "note").colSpan = 9;
  $(id).replaceChildren(...body.childNodes);
}

const number = (n) => Math.round(n).toLocaleString("en");
const rate = (n) => (n === null ? "" : n > 0 && n < 10 ? n.toFixed(1) : number(n));
const count = (n) => [number(n), "n"];
const bad = (n) => [number(n), n > 0 ? "n bad" : "n"];
const clock = (date) => date.toLocaleTimeString("en-GB");

function seconds(s) {
  if (s === null) return "";
  return s < 1e-3 ? `${(s * 1e6).toFixed(0)} µs` : s < 1 ? `${(s * 1e3).toFixed(1)} ms` : `${s.toFixed(1)} s`;
}

function span(s) {
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const i = Math.max(0, parts.findIndex(([size]) => s >= size));
  const one = ([size, unit], left) => `${Math.floor(left / size)} ${unit}`;
  if (s < 60) return `${Math.floor(s)} s`;
  return parts[i + 1] ? `${one(parts[i], s)} ${one(parts[i + 1], s % parts[i][0])}` : one(parts[i], s);
}

// ---- metrics -----------------------------------------------------------------------------------

/** Prometheus' text: a map from name to samples. */
function parseMetrics(text) {
  const families = new Map();
  for (const line of text.split("\n")) {
    const match = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, key, value] of (match[2] || "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g))
      labels[key] = value.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
    if (!families.has(match[1])) families.set(match[1], []);
    families.get(match[1]).push({ labels, value: Number(match[3]) });
  }
  return families;
}

const past = []; // the last WINDOW + 1 samples: { at, families }

const matches = (labels, wanted) => Object.entries(wanted || {}).every(([k, v]) => labels[k] === v);
function sum(families, name, wanted) {
  let total = 0;
  for (const { labels, value } of families.get(name) || []) if (matches(labels, wanted)) total += value;
  return total;
}
const now = () => past[past.length - 1].families;
const total = (name, wanted) => sum(now(), name, wanted);
function perSecond(name, wanted) {
  const first = past[0], last = past[past.length - 1];
  if (first === last) return null;
  return Math.max(0, sum(last.families, name, wanted) - sum(first.families, name, wanted)) / ((last.at - first.at) / 1000);
}

/** A quantile of what a histogram has seen within the window; null: nothing. */
function quantile(name, wanted, q) {
  const buckets = (now().get(`${name}_bucket`) || [])
    .filter(({ labels }) => matches(labels, wanted))
    .map(({ labels, value }) => ({
      le: labels.le === "+Inf" ? Infinity : Number(labels.le),
      n: value - (past.length > 1 ? sum(past[0].families, `${name}_bucket`, { ...wanted, le: labels.le }) : 0),
    }))
    .sort((a, b) => a.le - b.le);
  const all = buckets.length ? buckets[buckets.length - 1].n : 0;
  if (all <= 0) return null;
  const i = buckets.findIndex(({ n }) => n >= q * all);
  const low = i > 0 ? buckets[i - 1] : { le: 0, n: 0 };
  if (buckets[i].le === Infinity) return low.le;
  return low.le + ((buckets[i].le - low.le) * (q * all - low.n)) / (buckets[i].n - low.n || 1);
}

// ---- counters ----------------------------------------------------------------------------------

const HEALTH = { ready: "good", degraded: "warn", down: "bad", starting: "warn", draining: "warn" };

function showStatus(status) {
  $("state").textContent = status.state;
  $("state").className = `badge ${HEALTH[status.state] || ""}`;
  $("about").textContent = `${status.version}, up ${span(status.uptime_seconds)}`;
  document.title = `spoe-host: ${status.state}`;
  const age = (since) => [span(Math.max(0, status.start_time_seconds + status.uptime_seconds - since)), "t"];
  fill("plugins", status.plugins.map((p) => [p.id, [p.health, HEALTH[p.health]], age(p.since_seconds),
    [[p.reason, p.status].filter(Boolean).join("; "), "x"]]), "no plugin");
  const peers = new Map();
  for (const worker of status.workers) for (const peer of worker.peers) {
    const { connections, ...kind } = peer, key = JSON.stringify(kind);
    peers.set(key, { ...peer, connections: connections + (peers.get(key) || { connections: 0 }).connections });
  }
  fill("connections", [...peers.values()].map((p) => [p.address || "others", p.versions || "",
    [p.frame_size ? number(p.frame_size) : "", "n"], [p.pipelining ? "yes" : "no", "pipelining"], count(p.connections)]), "no HAProxy has said HELLO");
  $("room").textContent = `${number(status.connections)} of at most ${number(status.max_connections)} connections; ` +
    `${number(status.pending)} of at most ${number(status.max_pending)} messages in plugins' hands`;
  $("exporter").textContent = status.plugins.filter((p) => /^otel\b/.test(p.id) && p.status)
    .map((p) => p.status).join("; ");
}

function showMessages() {
  const rows = (now().get("spoe_host_plugin_messages_total") || []).map(({ labels, value }) => {
    const q = (p) => [seconds(quantile("spoe_host_handler_seconds", labels, p)), "n"];
    return [`${labels.plugin}: ${labels.message}`, [rate(perSecond("spoe_host_plugin_messages_total", labels)), "n"],
      count(value), q(0.5), q(0.99), bad(total("spoe_host_plugin_errors_total", labels)),
      bad(total("spoe_host_plugin_timeouts_total", labels))];
  });
  const line = (text, name, errors) => [text, [rate(perSecond(name)), "n"], count(total(name)), "", "", bad(errors), ""];
  rows.push(line("all messages", "spoe_host_messages_total", total("spoe_host_unknown_messages_total")));
  rows.push(line("log lines", "spoe_host_log_lines_total", total("spoe_host_log_broken_lines_total")));
  fill("messages", rows, "");
}

const SIGNALS = [
  ["traces", "spoe_otel_queue_spans", "spoe_otel_queue_max_spans", "spoe_otel_spans_exported_total", "spoe_otel_spans_lost_total"],
  ["logs", "spoe_otel_queue_log_records", null, "spoe_otel_log_records_exported_total", "spoe_otel_log_records_lost_total"],
  ["metrics", "spoe_otel_queue_metric_points", null, "spoe_otel_metric_points_exported_total", "spoe_otel_metric_points_lost_total"],
];

function showExport() {
  const rows = [], lines = [];
  for (const [signal, queue, max, exported, lost] of SIGNALS) {
    const states = ["waiting", "in_flight", "parked"].map((state) => total(queue, { state }));
    const used = states.reduce((a, b) => a + b, 0);
    const losses = (now().get(lost) || []).filter(({ value }) => value > 0)
      .map(({ labels, value }) => `${number(value)} ${labels.reason}`);
    if (!now().has(queue) || (signal !== "traces" && used + total(exported) + losses.length === 0)) continue;
    rows.push([signal, (td) => {
      if (!max) return;
      const meter = add(td, "meter");
      meter.max = total(max) || 1;
      meter.high = meter.max * 0.8;
      meter.value = used;
      meter.title = meter.ariaLabel = `${number(used)} of ${number(total(max))}`;
    }, ...states.map(count), [rate(perSecond(exported)), "n"], count(total(exported)),
    bad(total(lost))]);
    if (losses.length) lines.push(`${signal} lost: ${losses.join(", ")}`);
  }
  $("losses").textContent = lines.join("; ");
  fill("export", rows, "no plugin exports");
}

// ---- requests ----------------------------------------------------------------------------------

let after = 0, wanted = false;
let token = sessionStorage.getItem("token") || "";
const kept = []; // { request, row, detail, text, ms }, the newest first

const ns = (text) => BigInt(text);
const ms = (from, to) => Number(ns(to) - ns(from)) / 1e6;
const millis = (n) => (n < 10 ? n.toFixed(2) : n < 1000 ? n.toFixed(1) : number(n));
const STATUS = { 2: "good", 3: "", 4: "warn", 5: "bad" };

function timeOf(text) {
  const at = new Date(Number(ns(text) / 1000000n));
  return `${clock(at)}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

function keep(request) {
  const row = document.createElement("tr");
  add(row, "td", timeOf(request.start), "t");
  const cell = add(row, "td", undefined, "x");
  const open = add(cell, "button", `${request.method} ${request.target}`.trim() || "(no request)", "open");
  open.type = "button";
  open.setAttribute("aria-expanded", "false");
  add(row, "td", request.status || "none", STATUS[String(request.status)[0]] || "bad");
  const item = { request, row, detail: null, ms: ms(request.start, request.end) };
  add(row, "td", millis(item.ms), "n");
  for (const text of [request.client, request.frontend, [request.backend, request.server].filter(Boolean).join(" / ")])
    add(row, "td", text);
  add(row, "td", request.termination, "t");
  row.role = "row"; // which it stays for who hears it, where a small screen makes it a block
  for (const one of row.cells) one.role = "cell";
  item.text = [request.method, request.target, request.client, request.frontend, request.backend, request.server,
    request.trace, request.status, ...request.attributes.map(([, k, v]) => `${k}=${v}`)].join(" ").toLowerCase();
  row.addEventListener("click", () => toggle(item));
  row.addEventListener("keydown", (event) => onKey(event, item));
  kept.unshift(item);
  $("rows").prepend(row);
}

function toggle(item) {
  const open = item.detail === null;
  if (open) {
    item.detail = makeDetail(item);
    item.row.after(item.detail);
  } else {
    item.detail.remove();
    item.detail = null;
  }
  item.row.querySelector(".open").setAttribute("aria-expanded", String(open));
}

function onKey(event, item) {
  if (event.key === "Escape" && item.detail) toggle(item);
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const seen = kept.filter(({ row }) => !row.hidden);
  const next = seen[seen.indexOf(item) + (event.key === "ArrowDown" ? 1 : -1)];
  if (next) next.row.querySelector(".open").focus();
  event.preventDefault();
}

function makeDetail({ request }) {
  const detail = document.createElement("tr");
  detail.className = "detail";
  const cell = add(detail, "td");
  cell.colSpan = 8;
  add(cell, "div", `trace ${request.trace}${request.sampled ? ", sampled" : ", not sampled"}${request.exported ? ", to be exported" : ", not exported"}` +
    (request.incomplete ? ", its end is not known" : ""), "note");
  const table = add(add(cell, "div", undefined, "scroll"), "table", undefined, "fall");
  const first = request.parts.map((p) => ns(p.start)).reduce((a, b) => (a < b ? a : b), ns(request.start));
  const last = request.parts.map((p) => ns(p.end)).reduce((a, b) => (a > b ? a : b), ns(request.end));
  const whole = Number(last - first) || 1;
  for (const part of request.parts) {
    const tr = add(table, "tr");
    add(tr, "td", part.kind === "phase" ? part.name : `${part.kind.toUpperCase()} ${part.name}`, part.kind === "phase" ? "phase" : "");
    const bar = add(add(add(tr, "td", undefined, "track"), "div"), "i", undefined, `${part.kind}${part.error ? " error" : ""}`);
    bar.style.left = `${(Number(ns(part.start) - first) / whole) * 100}%`;
    bar.style.width = `${(Number(ns(part.end) - ns(part.start)) / whole) * 100}%`;
    add(tr, "td", `+${millis(Number(ns(part.start) - first) / 1e6)}`, "n at");
    add(tr, "td", `${millis(ms(part.start, part.end))} ms`, "n");
  }
  const spans = add(cell, "div", undefined, "spans");
  request.parts.forEach((part, i) => {
    if (part.kind === "phase") return;
    const one = add(spans, "div");
    add(one, "h3", `${part.kind.toUpperCase()} span ${part.id}${part.error ? ", an error" : ""}`);
    const attributes = add(one, "table", undefined, "attributes");
    for (const [of, key, value] of request.attributes) if (of === i) {
      const tr = add(attributes, "tr");
      add(tr, "th", key).scope = "row";
      add(tr, "td", value);
    }
  });
  if (request.cut) add(cell, "p", `${request.cut} texts are cut or attributes left out`, "note");
  return detail;
}

function filter() {
  const text = $("f-text").value.trim().toLowerCase(), status = $("f-status").value, least = Number($("f-ms").value) || 0;
  let shown = 0;
  for (const item of kept) {
    const { request } = item;
    const ok = item.ms >= least && item.text.includes(text) &&
      (status === "" || (status === "error" ? request.parts.some((p) => p.error) : status === "0" ? !request.status : String(request.status)[0] === status));
    item.row.hidden = !ok;
    if (item.detail) item.detail.hidden = !ok;
    shown += ok ? 1 : 0;
  }
  $("count").textContent = `${shown} of ${kept.length}`;
  $("none").hidden = shown > 0;
}

function showRequests(answer) {
  for (const request of answer.requests.sort((a, b) => a.n - b.n)) keep(request);
  for (const item of kept.splice(KEPT)) {
    item.row.remove();
    if (item.detail) item.detail.remove();
  }
  after = answer.last;
  filter();
}

/** The list is not to be had: why, and what can be done. */
function refuse(status, text) {
  wanted = false;
  $("on").hidden = true;
  $("off").hidden = false;
  $("ask").hidden = status !== 401;
  $("start").hidden = status === 401;
  $("why").textContent = status === 401 ? (token ? "This token is not the one." : "The list of requests needs the token.") : text.trim();
  if (status !== 401) return;
  token = "";
  sessionStorage.removeItem("token");
  $("token").focus();
}

// ---- asking ------------------------------------------------------------------------------------

function ask(path, body) {
  const headers = {};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  return fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body),
    cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
}

async function askRequests() {
  const answer = await ask("requests", { after });
  if (!answer.ok) return refuse(answer.status, await answer.text());
  if (token) sessionStorage.setItem("token", token); // it is the right one
  $("off").hidden = true;
  $("on").hidden = false;
  showRequests(await answer.json());
}

async function turn() {
  const status = await ask("status");
  if (!status.ok) throw new Error(`${status.status} ${await status.text()}`);
  showStatus(await status.json());
  past.push({ at: performance.now(), families: parseMetrics(await (await ask("metrics")).text()) });
  past.splice(0, past.length - WINDOW - 1);
  showMessages();
  showExport();
  if (wanted && !$("hold").checked) await askRequests();
}

let timer = 0, busy = false;
async function tick() {
  clearTimeout(timer);
  if (busy || document.hidden) return;
  busy = true;
  try {
    await turn();
    $("gone").hidden = true;
  } catch (error) {
    if ($("gone").hidden) $("gone").textContent = `spoe-host has not answered since ${clock(new Date())} (${error.message})`;
    $("gone").hidden = false;
    $("state").textContent = "no answer";
    $("state").className = "badge bad";
    document.title = "spoe-host: no answer";
    past.length = 0;
  }
  busy = false;
  timer = setTimeout(tick, PERIOD_MS);
}

$("start").addEventListener("click", () => { wanted = true; tick(); });
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  $("token").value = "";
  wanted = true;
  tick();
});
$("filter").addEventListener("submit", (event) => event.preventDefault());
$("filter").addEventListener("input", filter);
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && kept.find(({ detail }) => detail);
  if (open && !event.defaultPrevented && !$("rows").contains(event.target)) toggle(open);
});
document.addEventListener("visibilitychange", tick);
tick();
