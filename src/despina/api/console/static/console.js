"use strict";
// Three things, none of which a page needs to work: times that count on, parts that stay up to date, questions asked in a dialog.

const POLL_MS = 2000;
const dialog = document.getElementById("dialog");
const connection = document.getElementById("connection");
const skew = Number(document.body.dataset.now) - Date.now(); // the server's clock is right: its jobs' times are of it
const tags = new Map();

// The rule of formats.duration.
function duration(ms) {
  const seconds = Math.max(ms, 0) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  for (const [size, unit, smaller, rest] of [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]]) {
    if (whole >= size) {
      const less = Math.floor((whole % size) / smaller);
      return less ? `${Math.floor(whole / size)} ${unit} ${less} ${rest}` : `${Math.floor(whole / size)} ${unit}`;
    }
  }
  return `${whole} s`;
}

function ago(ms) {
  if (ms < 10_000) return "just now";
  return `${duration(ms).split(" ").slice(0, 2).join(" ")} ago`;
}

function showTimes(root) {
  const now = Date.now() + skew;
  for (const time of root.querySelectorAll("time[data-ago]")) {
    time.title ||= time.textContent;
    time.textContent = ago(now - Date.parse(time.dateTime));
  }
  for (const span of root.querySelectorAll("[data-since]")) span.textContent = duration(now - Number(span.dataset.since));
}

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

// What the browser keeps in a part of the page, and a fresh part has to take over.
function carryOver(old, fresh) {
  for (const details of old.querySelectorAll("details[id]")) {
    const same = fresh.querySelector(`#${CSS.escape(details.id)}`);
    if (same) same.open = details.open;
  }
  const scrolled = [...old.querySelectorAll("[id]")].filter((part) => part.scrollTop || part.scrollLeft || "follow" in part.dataset);
  const positions = scrolled.map((part) => [part.id, part.scrollLeft,
    part.scrollTop + part.clientHeight >= part.scrollHeight - 4 && "follow" in part.dataset ? Infinity : part.scrollTop]);
  const focusable = "a, button, input, select, textarea, summary, [tabindex]";
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? [...old.querySelectorAll(focusable)].indexOf(focused) : -1;
  old.replaceWith(fresh);
  for (const [id, left, top] of positions) {
    const part = document.getElementById(id);
    if (part) part.scrollTo({ left, top: Math.min(top, part.scrollHeight), behavior: "instant" });
  }
  const next = (focused?.id && document.getElementById(focused.id)) || [...fresh.querySelectorAll(focusable)][place];
  next?.focus({ preventScroll: true });
}

async function refresh(part) {
  const selection = getSelection();
  if (!selection.isCollapsed && part.contains(selection.anchorNode)) return undefined; // somebody copies from it
  const url = part.dataset.live;
  const response = await fetch(url, { cache: "no-store", headers: tags.has(url) ? { "If-None-Match": tags.get(url) } : {} });
  if (response.redirected) return location.reload(); // the session has ended
  if (response.status !== 200) return undefined;
  const fresh = parsed(await response.text()).getElementById(part.id);
  tags.set(url, response.headers.get("ETag"));
  if (fresh && part.isConnected) {
    showTimes(fresh);
    carryOver(part, fresh);
  }
  return undefined;
}

async function poll() {
  if (!document.hidden) {
    try {
      await Promise.all([...document.querySelectorAll("[data-live]")].map(refresh));
      connection.hidden = true;
    } catch {
      connection.textContent = "The server cannot be reached. This page shows what it said last.";
      connection.hidden = false;
    }
    showTimes(document);
  }
  if (document.querySelector("[data-live], [data-since], [data-ago]")) setTimeout(poll, POLL_MS);
}

async function ask(link) {
  const response = await fetch(`${link.href}${link.search ? "&" : "?"}fragment=dialog`, { cache: "no-store" });
  if (!response.ok || response.redirected) return location.assign(link.href);
  dialog.replaceChildren(...parsed(await response.text()).body.childNodes);
  dialog.dataset.opener = link.id;
  return dialog.showModal();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if ("dialog" in link.dataset) {
    event.preventDefault();
    ask(link).catch(() => location.assign(link.href));
  } else if ("close" in link.dataset && dialog.contains(link)) {
    event.preventDefault();
    dialog.close();
  }
});

// The page may have been brought up to date below the dialog: the opener is another element then.
dialog.addEventListener("close", () => document.getElementById(dialog.dataset.opener)?.focus());

document.addEventListener("visibilitychange", () => showTimes(document));
showTimes(document);
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
for (const part of document.querySelectorAll("[data-follow]")) part.scrollTop = part.scrollHeight;
setTimeout(poll, POLL_MS);
