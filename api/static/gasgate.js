// Clocks, theme, density and language. Runs before the page is drawn; knows nothing of the page's content.
(() => {
  const root = document.documentElement;
  const cookie = (name) => document.cookie.split("; ").find((part) => part.startsWith(name + "="))?.split("=")[1];
  const keep = (name, value) => {
    document.cookie = `${name}=${value}; path=/; max-age=31536000; samesite=lax`;
    location.reload();
  };
  root.dataset.theme = cookie("gasgate_theme") === "light" ? "light" : "dark";
  root.dataset.density = cookie("gasgate_density") === "dense" ? "dense" : "roomy";

  const gg = (window.gasgate = {
    base: null,
    setClock(nowMs, factor, offsetMs) {
      gg.base = { nowMs, factor, offsetMs, at: performance.now() };
      for (const e of document.querySelectorAll("[data-factor]")) e.textContent = factor > 0.001 ? String(factor) : "0";
      tick();
    },
    now: () => (gg.base ? gg.base.nowMs + (performance.now() - gg.base.at) * gg.base.factor : Date.now()),
    theme: () => keep("gasgate_theme", root.dataset.theme === "light" ? "dark" : "light"),
    density: (density) => keep("gasgate_density", density),
    language: (language) => keep("gasgate_language", language),
    // Writes into the fields of a form, into those of `whereEmpty` only while nothing stands in them.
    fill(form, values, whereEmpty) {
      const fields = document.querySelector(form)?.elements;
      for (const [name, text] of Object.entries(values)) if (fields?.[name]) fields[name].value = text;
      for (const [name, text] of Object.entries(whereEmpty)) if (fields?.[name]?.value === "") fields[name].value = text;
    },
    async logout() {
      await fetch("/api/v1/logout", { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
      location.href = "/login";
    },
  });

  const two = (n) => String(n).padStart(2, "0");
  const span = (seconds) => {
    const s = Math.floor(Math.abs(seconds));
    const h = Math.floor(s / 3600);
    const m = Math.floor(s / 60) % 60;
    return h ? `${h}:${two(m)}:${two(s % 60)}` : `${m}:${two(s % 60)}`;
  };

  function tick() {
    if (!gg.base) return;
    const now = gg.now();
    const local = new Date(now + gg.base.offsetMs);
    for (const e of document.querySelectorAll("[data-clock]")) {
      const text = e.dataset.clock === "date" ? local.toISOString().slice(0, 10) : local.toISOString().slice(11, 19);
      if (e.textContent !== text) e.textContent = text;
    }
    for (const e of document.querySelectorAll("[data-due]")) {
      const left = (Number(e.dataset.due) - now) / 1000;
      const text = (left < 0 ? "+" : "") + span(left);
      if (e.textContent !== text) e.textContent = text;
      e.classList.toggle("late", left < 0);
      e.classList.toggle("soon", left >= 0 && left < Number(e.dataset.limit || 0) / 2);
      const label = e.dataset.lateLabel && e.parentElement.querySelector("[data-label]");
      if (label) label.textContent = left < 0 ? e.dataset.lateLabel : label.dataset.label;
    }
    for (const e of document.querySelectorAll("[data-since]")) {
      const text = span((now - Number(e.dataset.since)) / 1000);
      if (e.textContent !== text) e.textContent = text;
    }
  }
  setInterval(tick, 200);

  // The story of a simulated city keeps its current note in sight, unless somebody is reading elsewhere in it.
  function follow(nodes) {
    const note = nodes.map((node) => node.closest?.(".gg-story") || node.querySelector?.(".gg-story")).find(Boolean)?.querySelector("[aria-current]");
    if (!note || note.parentElement.matches(":hover, :focus-within")) return;
    const list = note.parentElement;
    list.scrollTop = note.offsetTop - list.offsetTop - Math.max(0, list.clientHeight - note.offsetHeight) / 2;
  }

  // The server is asked now and then, for a connection can die without anybody being told.
  async function beat() {
    if (!gg.base || document.hidden) return;
    let alive = false;
    try {
      alive = (await fetch("/static/favicon.svg", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(3000) })).ok;
    } catch {
      alive = false;
    }
    root.classList.toggle("gg-lost", !alive);
  }
  setInterval(beat, 2500);
  addEventListener("offline", () => root.classList.add("gg-lost"));
  addEventListener("online", beat);

  // The pages' library shows a box of its own when its connection is lost; ours says it instead.
  addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("popup");
    if (!box) return;
    const look = () => root.classList.toggle("gg-away", box.getAttribute("aria-hidden") === "false");
    new MutationObserver(look).observe(box, { attributes: true });
  });

  // What waits for a person blinks, all at once and slowly: an animation of each would cost a frame's work every frame.
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) setInterval(() => root.classList.toggle("gg-dark-half"), 800);

  // Whoever works on a page uses the session, whether the page asks the server or not.
  let usedAt = Date.now();
  function use() {
    if (!gg.base || Date.now() - usedAt < 90_000) return;
    usedAt = Date.now();
    fetch("/api/v1/me", { cache: "no-store" }).catch(() => {});
  }
  for (const kind of ["pointerdown", "keydown", "wheel"]) addEventListener(kind, use, { passive: true });

  // What is drawn anew shows its time at once, not at the next tick.
  new MutationObserver((changes) => {
    const nodes = changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.nodeType === Node.ELEMENT_NODE);
    if (!nodes.length) return;
    tick();
    follow(nodes);
  }).observe(root, { childList: true, subtree: true });
})();
