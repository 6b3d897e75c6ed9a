// A list of any length: rows come and go by key, and only those in sight are in the document.
// `keep` (set from outside) says which rows are shown; with `grouped`, rows of one group share a line until it is opened.
const MOST_ON_PAPER = 300;

// so much lower is a row where somebody wants dense lists
const DENSER_PX = 8;

export default {
  template: `<div class="gg-list" :role="count ? 'listbox' : 'region'" tabindex="0" :aria-label="label" @scroll="scrolled" @click="pick" @keydown="key">
    <div v-show="count" ref="space" class="gg-rows"></div>
    <div v-show="!count" class="gg-empty" v-html="empty"></div>
  </div>`,
  props: {
    rowHeight: Number, empty: String, label: String, selected: String, rows: Array, opens: String, everywhere: Boolean, leads: String, feed: String,
  },
  data: () => ({ count: 0 }),
  created() {
    const dense = document.documentElement.dataset.density === "dense" && !this.leads;
    this.tallRow = dense ? this.rowHeight - DENSER_PX : this.rowHeight;
    this.chosen = this.selected;
    this.byId = new Map();
    this.sorted = [];
    this.order = [];
    this.drawn = new Map();
    this.sizes = new Map();
    this.opened = new Set();
    this.keep = null;
    this.top = 0;
    this.tall = 0;
    this.grouped = false;
    this.paper = false;
    this.onPaper = (event) => {
      this.paper = event.type === "beforeprint";
      this.draw();
    };
  },
  mounted() {
    this.apply(this.rows || [], []);
    // what is measured is kept: to ask while rows change would have the browser lay everything out at once
    this.observer = new ResizeObserver(() => {
      this.tall = this.$el.clientHeight;
      this.draw();
    });
    this.observer.observe(this.$el);
    for (const moment of ["beforeprint", "afterprint"]) addEventListener(moment, this.onPaper);
    if (this.everywhere) document.addEventListener("keydown", this.afar);
    if (this.feed) window.gasgate.room.attach(this.feed, this);
  },
  unmounted() {
    document.removeEventListener("keydown", this.afar);
    this.observer?.disconnect();
    for (const moment of ["beforeprint", "afterprint"]) removeEventListener(moment, this.onPaper);
  },
  methods: {
    select(id) {
      this.chosen = id;
      this.draw();
    },
    scrolled() {
      this.top = this.$el.scrollTop;
      this.draw();
    },
    replace(rows) {
      this.byId = new Map(rows.map((row) => [row.id, row]));
      this.sorted = [...rows].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
      this.arrange();
    },
    apply(changed, gone) {
      for (const id of gone) this.remove(id);
      for (const row of changed) {
        if (this.byId.get(row.id)?.key !== row.key) {
          this.remove(row.id);
          this.sorted.splice(this.place(row.key), 0, row);
        } else this.sorted[this.find(row)] = row;
        this.byId.set(row.id, row);
      }
      this.arrange();
    },
    remove(id) {
      const row = this.byId.get(id);
      if (!row) return;
      this.sorted.splice(this.find(row), 1);
      this.byId.delete(id);
    },
    // The first place whose key is not before this one.
    place(key) {
      let low = 0;
      let high = this.sorted.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (this.sorted[middle].key < key) low = middle + 1;
        else high = middle;
      }
      return low;
    },
    find(row) {
      let at = this.place(row.key);
      while (this.sorted[at].id !== row.id) at++;
      return at;
    },
    arrange() {
      const shown = this.keep ? this.sorted.filter(this.keep) : this.sorted;
      this.sizes = new Map();
      this.order = this.grouped ? this.gathered(shown) : shown;
      this.count = this.order.length;
      this.draw();
    },
    gathered(rows) {
      const lines = [];
      const first = new Map();
      for (const row of rows) {
        const size = row.group ? (this.sizes.get(row.group) || 0) + 1 : 0;
        if (size) this.sizes.set(row.group, size);
        if (size < 2 || this.opened.has(row.group)) lines.push(row);
        if (size === 1) first.set(row.group, lines.length - 1);
        // a group is told by the most urgent one that still waits for a person
        const at = first.get(row.group);
        if (size > 1 && row.waits && !lines[at].waits && !this.opened.has(row.group)) lines[at] = row;
      }
      return lines;
    },
    draw() {
      const space = this.$refs.space;
      if (!space) return;
      const height = this.tallRow;
      const whole = `${this.order.length * height}px`;
      if (space.style.height !== whole) space.style.height = whole;
      const top = Math.max(0, Math.min(this.top, this.order.length * height - this.tall));
      const first = this.paper ? 0 : Math.max(0, Math.floor(top / height) - 4);
      const last = Math.min(this.order.length, this.paper ? MOST_ON_PAPER : Math.ceil((top + this.tall) / height) + 4);
      const seen = new Set();
      for (let n = first; n < last; n++) {
        const row = this.order[n];
        seen.add(row.id);
        const node = this.drawn.get(row.id) || this.made(row.id);
        if (node.html !== row.html) {
          node.html = row.html;
          node.innerHTML = row.html;
        }
        const size = (this.grouped && this.sizes.get(row.group)) || 1;
        if (node.size !== size || node.written !== row.html) {
          node.size = size;
          node.written = row.html;
          const badge = node.querySelector("[data-times]");
          if (badge) {
            badge.textContent = size > 1 ? `×${size}` : "";
            badge.hidden = size < 2;
          }
        }
        this.put(node, n, row.id === this.chosen);
      }
      if (this.drawn.has(this.chosen)) this.$el.setAttribute("aria-activedescendant", `row-${this.chosen}`);
      for (const [id, node] of this.drawn) {
        if (!seen.has(id)) {
          node.remove();
          this.drawn.delete(id);
        }
      }
    },
    put(node, n, chosen) {
      if (node.place !== n) {
        node.place = n;
        node.style.transform = `translateY(${n * this.tallRow}px)`;
        node.style.order = n;
        node.setAttribute("aria-posinset", n + 1);
      }
      if (node.chosen !== chosen) {
        node.chosen = chosen;
        node.setAttribute("aria-selected", String(chosen));
      }
      if (node.of !== this.order.length) node.setAttribute("aria-setsize", (node.of = this.order.length));
    },
    made(id) {
      const node = document.createElement("div");
      node.className = "gg-row";
      node.setAttribute("role", "option");
      node.dataset.id = id;
      node.id = `row-${id}`;
      node.style.height = `${this.tallRow}px`;
      this.drawn.set(id, node);
      this.$refs.space.append(node);
      return node;
    },
    pick(event) {
      const row = event.target.closest("[data-id]");
      if (!row) return;
      if (event.target.closest("[data-times]")) this.unfold(this.byId.get(row.dataset.id));
      this.go(row.dataset.id);
    },
    unfold(row, open = !this.opened.has(row?.group)) {
      if (!this.grouped || !row?.group) return;
      if (open) this.opened.add(row.group);
      else this.opened.delete(row.group);
      this.arrange();
    },
    go(id) {
      if (this.leads) location.assign(this.leads + encodeURIComponent(id));
      else this.$emit("pick", id);
    },
    // Keys that were pressed outside the list, where nothing else makes use of them.
    afar(event) {
      const used = "input, select, textarea, [role=listbox], [role=dialog], .leaflet-container, .gg-scroll";
      const plain = !(event.ctrlKey || event.metaKey || event.altKey || event.shiftKey);
      if (plain && event.key.startsWith("Arrow") && !event.target.closest(used) && !document.querySelector(".q-dialog")) this.key(event);
    },
    key(event) {
      if (event.key === "Enter") {
        event.preventDefault();
        if (!this.leads) document.querySelector(this.opens)?.focus();
        else if (this.byId.has(this.chosen)) this.go(this.chosen);
        return;
      }
      if (this.grouped && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
        event.preventDefault();
        this.unfold(this.byId.get(this.chosen), event.key === "ArrowRight");
        return;
      }
      const at = this.order.findIndex((row) => row.id === this.chosen);
      const page = Math.max(1, Math.floor(this.tall / this.tallRow) - 1);
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.order.length, End: this.order.length }[event.key];
      if (!step || !this.order.length) return;
      event.preventDefault();
      const next = Math.min(this.order.length - 1, Math.max(0, at + step));
      const top = next * this.tallRow;
      if (top < this.$el.scrollTop) this.$el.scrollTop = top;
      const bottom = top + this.tallRow - this.$el.clientHeight;
      if (bottom > this.$el.scrollTop) this.$el.scrollTop = bottom;
      this.top = this.$el.scrollTop;
      this.select(this.order[next].id);
      if (!this.leads) this.$emit("pick", this.order[next].id);
    },
  },
};
