// A list of any length: rows come and go by key, and only those in sight are in the document.
export default {
  template: `<div class="gg-list" role="listbox" tabindex="0" :aria-label="label" @scroll="draw" @click="pick" @keydown="key">
    <div v-show="count" ref="space" style="position:relative"></div>
    <div v-show="!count" class="gg-empty" v-html="empty"></div>
  </div>`,
  props: { rowHeight: Number, empty: String, label: String, selected: String, rows: Array, opens: String, everywhere: Boolean, leads: String },
  data: () => ({ count: 0 }),
  created() {
    this.chosen = this.selected;
    this.byId = new Map();
    this.order = [];
    this.drawn = new Map();
  },
  mounted() {
    this.apply(this.rows || [], []);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.$el);
    if (this.everywhere) document.addEventListener("keydown", this.afar);
  },
  unmounted() {
    document.removeEventListener("keydown", this.afar);
    this.observer?.disconnect();
  },
  methods: {
    select(id) {
      this.chosen = id;
      this.draw();
    },
    apply(changed, gone) {
      for (const id of gone) this.byId.delete(id);
      for (const row of changed) this.byId.set(row.id, row);
      this.order = [...this.byId.values()].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
      this.count = this.order.length;
      this.draw();
    },
    draw() {
      const space = this.$refs.space;
      if (!space) return;
      const height = this.rowHeight;
      space.style.height = `${this.order.length * height}px`;
      const first = Math.max(0, Math.floor(this.$el.scrollTop / height) - 4);
      const last = Math.min(this.order.length, Math.ceil((this.$el.scrollTop + this.$el.clientHeight) / height) + 4);
      const seen = new Set();
      for (let n = first; n < last; n++) {
        const row = this.order[n];
        seen.add(row.id);
        let node = this.drawn.get(row.id);
        if (!node) {
          node = document.createElement("div");
          node.className = "gg-row";
          node.setAttribute("role", "option");
          node.dataset.id = row.id;
          node.id = `row-${row.id}`;
          node.style.height = `${height}px`;
          this.drawn.set(row.id, node);
          space.append(node);
        }
        if (node.html !== row.html) {
          node.html = row.html;
          node.innerHTML = row.html;
        }
        node.style.transform = `translateY(${n * height}px)`;
        node.setAttribute("aria-selected", String(row.id === this.chosen));
      }
      if (this.drawn.has(this.chosen)) this.$el.setAttribute("aria-activedescendant", `row-${this.chosen}`);
      for (const [id, node] of this.drawn) {
        if (!seen.has(id)) {
          node.remove();
          this.drawn.delete(id);
        }
      }
    },
    pick(event) {
      const row = event.target.closest("[data-id]");
      if (row) this.go(row.dataset.id);
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
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step || !this.order.length) return;
      event.preventDefault();
      const at = this.order.findIndex((row) => row.id === this.chosen);
      const next = Math.min(this.order.length - 1, Math.max(0, at + step));
      const top = next * this.rowHeight;
      if (top < this.$el.scrollTop) this.$el.scrollTop = top;
      const bottom = top + this.rowHeight - this.$el.clientHeight;
      if (bottom > this.$el.scrollTop) this.$el.scrollTop = bottom;
      if (this.leads) this.select(this.order[next].id);
      else this.$emit("pick", this.order[next].id);
    },
  },
};
