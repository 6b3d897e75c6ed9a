// What everybody in the control room sees: rows, tickets, key figures, marks. One connection, made once for all that show it.
(() => {
  const gg = window.gasgate;
  const shown = { alarms: null, tickets: null };
  const heard = {};
  let state = null;
  let waiting = [];
  let again = 500;
  let socket = null;
  let language = "zh";
  const ROWS_MS = 20000;

  const room = (gg.room = {
    open(chosen) {
      language = chosen;
      connect();
    },
    attach(feed, list) {
      shown[feed] = list;
      if (feed === "alarms") {
        list.keep = keep;
        drawn();
      }
      if (state) list.replace([...state[feed].values()]);
      count();
    },
    on(name, listener) {
      heard[name] = listener;
      if (state && name === "marks") listener([...state.marks.values()]);
      else if (state && name in state.facts) listener(state.facts[name]);
    },
    state: () => state,
    again: () => socket.close(),
  });

  function connect() {
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/room/live?language=${language}`;
    const mine = (socket = new WebSocket(address));
    waiting = null;
    mine.onmessage = (event) => receive(mine, JSON.parse(event.data));
    mine.onclose = (event) => {
      if (socket !== mine) return;
      if (event.code === 4401) return location.reload();
      lost(true);
      setTimeout(connect, again);
      again = Math.min(5000, again * 1.5);
    };
  }

  // The most urgent rows come with the first message. All others are many: they are asked for when those are in sight.
  const partial = (yes) => document.documentElement.classList.toggle("gg-room-partial", yes);
  let drawn;
  const inSight = new Promise((done) => {
    const painted = () => requestAnimationFrame(() => setTimeout(done));
    drawn = () => (document.hidden ? done() : painted());
    setTimeout(done, 3000);
  });

  function begin(first) {
    state = { n: first.n, alarms: table(first.alarms), tickets: table(first.tickets), marks: new Map(), facts: {}, counts: first.counts };
    for (const feed of Object.keys(shown)) shown[feed]?.replace([...state[feed].values()]);
    facts(first);
    count();
    partial(true);
  }

  const table = (rows) => new Map(rows.map((row) => [row.id, row]));

  async function receive(mine, message) {
    if (waiting) return waiting.push(message);
    if (!message.hello) return take(message);
    waiting = [];
    if (!state) begin(message);
    await inSight;
    try {
      const answer = await fetch(`/room/all?language=${language}&after=${message.n}`, { signal: AbortSignal.timeout(ROWS_MS) });
      if (!answer.ok) throw new Error(String(answer.status));
      const all = await answer.json();
      if (socket !== mine || mine.readyState !== WebSocket.OPEN) return;
      state = { n: all.n, alarms: table(all.alarms), tickets: table(all.tickets), marks: new Map(), facts: {} };
      for (const feed of Object.keys(shown)) shown[feed]?.replace([...state[feed].values()]);
      marks(all);
      facts(all);
      const missed = waiting;
      waiting = null;
      missed.forEach(take);
      again = 500;
      lost(false);
      partial(false);
      count();
    } catch {
      mine.close();
    }
  }

  function take(message) {
    if (!state || message.n <= state.n) return;
    state.n = message.n;
    for (const feed of Object.keys(shown)) {
      const changed = message[feed] || [];
      const gone = message[`${feed}_gone`] || [];
      if (!changed.length && !gone.length) continue;
      for (const id of gone) state[feed].delete(id);
      for (const row of changed) state[feed].set(row.id, row);
      shown[feed]?.apply(changed, gone);
      if (feed === "alarms") count();
    }
    marks(message);
    facts(message);
  }

  function marks(message) {
    if (!message.marks && !message.marks_gone) return;
    for (const asset of message.marks_gone || []) state.marks.delete(asset);
    for (const mark of message.marks || []) state.marks.set(mark.asset, mark);
    fresh = true;
    schedule();
  }

  // A map with many marks takes its time, until the frame is painted: it gets a twentieth of it at most.
  let fresh = false;
  let drawing = false;
  let drawAt = 0;
  function schedule() {
    if (drawing || !fresh) return;
    drawing = true;
    setTimeout(() => {
      const begun = performance.now();
      fresh = false;
      heard.marks?.([...state.marks.values()]);
      requestAnimationFrame(() => setTimeout(() => {
        drawAt = performance.now() + 20 * (performance.now() - begun);
        drawing = false;
        schedule();
      }));
    }, Math.max(0, drawAt - performance.now()));
  }

  function facts(message) {
    for (const name of ["strip", "flood", "horn"]) {
      if (!(name in message)) continue;
      state.facts[name] = message[name];
      heard[name]?.(message[name]);
    }
  }

  const lost = (yes) => document.documentElement.classList.toggle("gg-room-lost", yes);

  room.on("strip", (html) => {
    const strip = document.querySelector(".gg-strip");
    if (strip && strip.innerHTML !== html) strip.innerHTML = html;
  });

  // Which alarms are shown ------------------------------------------------------------------------------------

  const filter = { tab: "active", priorities: new Set(), waiting: false, words: [] };

  function keep(row) {
    return (
      row.tab === filter.tab &&
      (!filter.priorities.size || filter.priorities.has(row.priority)) &&
      (!filter.waiting || row.waits) &&
      filter.words.every((word) => row.find.includes(word))
    );
  }

  function count() {
    const tools = document.querySelector(".gg-alarm-tools");
    if (!tools || !state) return;
    const counts = { ...state.counts };
    if (!state.counts) for (const row of state.alarms.values()) counts[row.tab] = (counts[row.tab] || 0) + 1;
    for (const e of tools.querySelectorAll("[data-count]")) e.textContent = counts[e.dataset.count] || 0;
  }

  function show() {
    const tools = document.querySelector(".gg-alarm-tools");
    for (const e of tools.querySelectorAll("[data-tab]")) e.setAttribute("aria-selected", String(e.dataset.tab === filter.tab));
    for (const e of tools.querySelectorAll("[data-priority]")) e.setAttribute("aria-pressed", String(filter.priorities.has(Number(e.dataset.priority))));
    tools.querySelector("[data-waiting]").setAttribute("aria-pressed", String(filter.waiting));
    tools.querySelector("[data-grouped]").setAttribute("aria-pressed", String(shown.alarms?.grouped || false));
    shown.alarms?.arrange();
    shown.alarms?.$el.scrollTo(0, 0);
  }

  function group(yes) {
    if (!shown.alarms) return;
    shown.alarms.grouped = yes;
    show();
  }

  room.filter = (change) => {
    Object.assign(filter, change);
    show();
  };
  room.toggle = (priority) => {
    if (!filter.priorities.delete(priority)) filter.priorities.add(priority);
    show();
  };
  room.waiting = () => room.filter({ waiting: !filter.waiting });
  room.group = () => group(!shown.alarms?.grouped);
  room.tab = (step) => {
    const tabs = [...document.querySelectorAll(".gg-alarm-tools [data-tab]")].map((e) => e.dataset.tab);
    room.filter({ tab: tabs[(tabs.indexOf(filter.tab) + step + tabs.length) % tabs.length] });
  };
  let flooded = false;
  room.on("flood", (yes) => {
    if (yes !== flooded) group((flooded = yes));
  });

  document.addEventListener("click", (event) => {
    const tool = event.target.closest(".gg-alarm-tools [data-tab], .gg-alarm-tools [data-priority], .gg-alarm-tools [data-waiting], .gg-alarm-tools [data-grouped]");
    if (!tool) return;
    if (tool.dataset.tab) room.filter({ tab: tool.dataset.tab });
    else if (tool.dataset.priority) room.toggle(Number(tool.dataset.priority));
    else if ("waiting" in tool.dataset) room.waiting();
    else room.group();
  });
  document.addEventListener("input", (event) => {
    if (event.target.closest(".gg-alarm-tools")) room.filter({ words: event.target.value.toLowerCase().split(/\s+/).filter(Boolean) });
  });

  // The horn --------------------------------------------------------------------------------------------------
  // It sounds while an alarm of the two highest priorities waits for a person; muted, it comes back by itself.

  const MUTE_MS = 120000;
  const EVERY_MS = { 1: 1500, 2: 6000 };
  let sounding = 0;
  let mutedUntil = 0;
  let sound = null;
  let beepAt = 0;

  room.on("horn", (level) => {
    if (level && (!sounding || level < sounding)) beepAt = 0;
    sounding = level;
    horn();
  });
  room.mute = () => {
    if (!sound) sound = new AudioContext();
    else if (sound.state === "suspended") sound.resume();
    else mutedUntil = mutedUntil > Date.now() ? 0 : Date.now() + MUTE_MS;
    horn();
  };
  function horn() {
    const button = document.querySelector(".gg-horn");
    if (!button) return;
    const left = Math.ceil((mutedUntil - Date.now()) / 1000);
    const blocked = !sound || sound.state === "suspended";
    const state = blocked ? "blocked" : left > 0 ? "muted" : "sounds";
    button.hidden = !sounding;
    button.dataset.state = state;
    const text = button.dataset[state] + (state === "muted" ? ` ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}` : "");
    if (button.textContent !== text) button.textContent = text;
    if (sounding && state === "sounds" && Date.now() >= beepAt) beep();
  }
  function beep() {
    beepAt = Date.now() + EVERY_MS[sounding];
    for (const [n, pitch] of (sounding === 1 ? [880, 660, 880] : [660]).entries()) {
      const tone = new OscillatorNode(sound, { frequency: pitch });
      const loud = new GainNode(sound, { gain: 0.12 });
      tone.connect(loud).connect(sound.destination);
      tone.start(sound.currentTime + 0.18 * n);
      tone.stop(sound.currentTime + 0.18 * n + 0.15);
    }
  }
  setInterval(horn, 250);

  // Keys ------------------------------------------------------------------------------------------------------

  const help = (open) => {
    const box = document.querySelector(".gg-help");
    if (box) box.hidden = open === undefined ? !box.hidden : !open;
  };
  const keys = {
    n: () => room.waiting(),
    g: () => room.group(),
    h: () => room.mute(),
    "[": () => room.tab(-1),
    "]": () => room.tab(1),
    "?": () => help(),
    Escape: () => help(false),
    "/": () => document.querySelector(".gg-alarm-tools input")?.focus(),
  };
  for (const level of [1, 2, 3, 4]) keys[level] = () => room.toggle(level);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.matches(".gg-alarm-tools input")) {
      event.target.value = "";
      room.filter({ words: [] });
      event.target.blur();
    }
    if (event.target.closest("input, select, textarea, .q-dialog") || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key] || keys[event.key.toLowerCase()];
    if (!act || document.querySelector(".q-dialog") || !document.querySelector(".gg-alarm-tools")) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-help]")) help();
    else if (!event.target.closest(".gg-help")) help(false);
    if (event.target.closest(".gg-horn")) room.mute();
    else if (sound?.state === "suspended") sound.resume();
  });
})();
