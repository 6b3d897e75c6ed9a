// The network without tiles: local metres on a plain plane, pipes and meters on one canvas, alarms on top.
import { leaflet as L } from "nicegui-leaflet";

const SHAPE_SIZE = 24;
const APART = 15;
const FLAG_ROOM = 72;
const STREETS = 150;
const EDGES = { paddingTopLeft: [24, 28], paddingBottomRight: [24, 44], animate: false };

// Where a name may stand beside its site, best first: distance of its left upper corner from the site.
const SIDES = [
  (w) => [-w / 2, APART],
  (w, h) => [-w / 2, -APART - h],
  () => [-8, APART],
  (w) => [8 - w, APART],
  (w, h) => [-8, -APART - h],
  (w, h) => [8 - w, -APART - h],
  (w, h) => [APART, -h / 2],
  (w, h) => [-APART - w, -h / 2],
];

const shared = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
const around = ({ x, y }, right = 12) => [x - 12, y - 14, x + right, y + 12];

export default {
  template: `<div class="gg-map"><div ref="map" style="width:100%;height:100%"></div></div>`,
  props: { resourcePath: String, marks: Array, selected: String, zoom: Array, pipes: Array, near: Boolean },
  async mounted() {
    await this.$nextTick();
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = (window.path_prefix || "") + this.resourcePath + "/leaflet/leaflet.css";
    await new Promise((done) => {
      link.onload = link.onerror = done;
      document.head.append(link);
    });
    const answer = await fetch("/api/v1/map");
    if (!answer.ok) return;
    this.city = await answer.json();
    this.build();
    this.show(this.shown);
    this.observer = new ResizeObserver(() => {
      this.map.invalidateSize({ animate: false });
      if (!this.moved) this.fit();
    });
    this.observer.observe(this.$el);
  },
  unmounted() {
    this.observer?.disconnect();
    this.map?.remove();
  },
  created() {
    this.chosen = this.selected;
    this.shown = this.marks || [];
  },
  methods: {
    select(asset) {
      this.chosen = asset;
      this.show(this.shown);
      const mark = this.shown.find((m) => m.asset === asset);
      if (mark && this.map && !this.map.getBounds().pad(-0.05).contains([mark.y, mark.x])) this.map.panTo([mark.y, mark.x]);
    },
    build() {
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim();
      this.map = L.map(this.$refs.map, {
        crs: L.CRS.Simple,
        preferCanvas: true,
        attributionControl: false,
        zoomControl: false,
        minZoom: -5,
        maxZoom: 3,
        zoomSnap: 0.05,
        zoomDelta: 0.5,
      });
      this.map.setView([0, 0], 0, { animate: false });
      const bounds = L.latLngBounds([]);
      this.lines = [];
      if (this.city.pipes) {
        const pipes = L.geoJSON(this.city.pipes, {
          interactive: false,
          coordsToLatLng: ([x, y]) => L.latLng(y, x),
          style: (feature) => {
            const main = ["medium", "high"].includes(feature.properties?.pressure || feature.properties?.kind);
            return { color: colour(main ? "--pipe-main" : "--pipe"), weight: main ? 3 : 1.5 };
          },
        }).addTo(this.map);
        pipes.eachLayer((layer) => layer.getLatLngs && this.lines.push(layer.getLatLngs().flat(2)));
        bounds.extend(pipes.getBounds());
        this.light(pipes, colour("--bad"));
      }
      for (const [id, x, y] of this.city.meters) {
        const dot = L.circleMarker([y, x], { radius: 1.5, stroke: false, fillColor: colour("--faint"), fillOpacity: 0.9 });
        dot.bindTooltip(id).addTo(this.map);
        bounds.extend([y, x]);
      }
      this.sites = this.city.stations.map((site) => this.site(site));
      for (const { at } of this.sites) bounds.extend(at);
      this.bounds = this.around() || (bounds.isValid() ? bounds : L.latLngBounds([0, 0], [1000, 1000]));
      L.control.scale({ imperial: false }).addTo(this.map);
      L.control.zoom({ position: "bottomright", zoomInTitle: this.zoom[0], zoomOutTitle: this.zoom[1] }).addTo(this.map);
      this.overlay = L.layerGroup().addTo(this.map);
      this.map.on("zoomend resize moveend", () => this.name());
      this.fit();
      // Whoever chose a part of the map keeps it when the window changes; a click on a mark is no such choice.
      const chosen = () => (this.moved = true);
      this.map.on("dragstart dblclick", chosen);
      this.$refs.map.addEventListener("wheel", chosen, { passive: true });
      this.$refs.map.querySelector(".leaflet-control-zoom").addEventListener("click", chosen);
    },
    // Candidate pipes, the likeliest strongest.
    light(pipes, colour) {
      const most = Math.max(...(this.pipes || []).map((pipe) => pipe.probability), 1e-6);
      const share = new Map((this.pipes || []).map((pipe) => [pipe.id, pipe.probability / most]));
      this.lit = [];
      pipes.eachLayer((layer) => {
        const part = share.get(String(layer.feature.properties?.id));
        if (part === undefined || !layer.setStyle) return;
        layer.setStyle({ color: colour, weight: 3 + 3 * part, opacity: 0.25 + 0.75 * part });
        layer.bringToFront();
        this.lit.push(layer);
      });
    },
    // Goes to the marks that are shown now; whoever had chosen a part of the map gives it up.
    frame() {
      if (!this.map) return;
      this.moved = false;
      this.bounds = this.around() || this.bounds;
      this.fit();
    },
    // What `near` shows: lit pipes and marks, with some streets around them.
    around() {
      if (!this.near) return null;
      const bounds = L.latLngBounds([]);
      for (const layer of this.lit || []) bounds.extend(layer.getBounds());
      for (const mark of this.shown) bounds.extend([mark.y, mark.x]);
      if (!bounds.isValid()) return null;
      const [a, b] = [bounds.getSouthWest(), bounds.getNorthEast()];
      return L.latLngBounds([a.lat - STREETS, a.lng - STREETS], [b.lat + STREETS, b.lng + STREETS]);
    },
    site({ id, kind, name, x, y }) {
      const size = kind === "station" ? 14 : 11;
      const box = document.createElement("div");
      const sign = document.createElement("div");
      sign.className = `gg-site ${kind === "station" ? "station" : "regulator"}`;
      sign.style.width = sign.style.height = `${size}px`;
      const label = document.createElement("span");
      label.className = "gg-name";
      label.textContent = name;
      box.append(sign, label);
      const icon = L.divIcon({ className: "gg-site-box", iconSize: [size, size], html: box });
      L.marker([y, x], { icon, keyboard: false })
        .on("click", () => this.$emit("pick", id))
        .addTo(this.map);
      return { at: L.latLng(y, x), label, middle: size / 2 };
    },
    fit() {
      this.map.fitBounds(this.bounds, EDGES);
      this.name();
    },
    // Puts each name where it hides the least: never outside, not on other names and signs, seldom on pipes.
    name() {
      if (!this.overlay) return;
      const point = (at) => this.map.latLngToContainerPoint(at);
      const size = this.map.getSize();
      const right = (mark, p) => (mark.html.includes("flag") && p.x < size.x - FLAG_ROOM ? FLAG_ROOM : 12);
      const taken = [
        ...this.sites.map(({ at }) => around(point(at))),
        ...this.shown.map((mark) => [mark, point([mark.y, mark.x])]).map(([mark, p]) => around(p, right(mark, p))),
      ];
      const dots = this.drawn(point);
      for (const { at, label, middle } of this.sites) {
        const p = point(at);
        const [w, h] = [label.offsetWidth, label.offsetHeight];
        let best = [Infinity];
        SIDES.forEach((side, rank) => {
          const [dx, dy] = side(w, h);
          const box = [p.x + dx, p.y + dy, p.x + dx + w, p.y + dy + h];
          const inside = shared(box, [2, 2, size.x - 2, size.y - 2]);
          let cost = 20 * (w * h - inside) + 2 * rank;
          for (const other of taken) cost += 10 * shared(box, other);
          for (const [x, y] of dots) cost += x > box[0] && x < box[2] && y > box[1] && y < box[3] ? 8 : 0;
          if (cost < best[0]) best = [cost, dx, dy, box];
        });
        label.style.transform = `translate(${Math.round(best[1] + middle)}px, ${Math.round(best[2] + middle)}px)`;
        taken.push(best[3]);
      }
    },
    // Points on the pipes, some pixels apart.
    drawn(point) {
      const dots = [];
      for (const line of this.lines) {
        for (let n = 1; n < line.length; n++) {
          const [a, b] = [point(line[n - 1]), point(line[n])];
          const steps = Math.min(200, Math.ceil(a.distanceTo(b) / 8));
          for (let k = 0; k <= steps; k++) dots.push([a.x + ((b.x - a.x) * k) / (steps || 1), a.y + ((b.y - a.y) * k) / (steps || 1)]);
        }
      }
      return dots;
    },
    show(marks) {
      this.shown = marks;
      if (!this.overlay) return;
      this.overlay.clearLayers();
      if (this.near && !this.framed && marks.length) {
        this.framed = true;
        this.bounds = this.around() || this.bounds;
        if (!this.moved) this.map.fitBounds(this.bounds, EDGES);
      }
      const width = this.map.getSize().x;
      for (const mark of marks) {
        const box = document.createElement("div");
        const flipped = this.map.latLngToContainerPoint([mark.y, mark.x]).x > width - FLAG_ROOM;
        box.className = `gg-pin${mark.asset === this.chosen ? " chosen" : ""}${flipped ? " flipped" : ""}`;
        box.innerHTML = mark.html;
        const icon = L.divIcon({ className: "gg-pin-box", iconSize: [SHAPE_SIZE, SHAPE_SIZE], html: box });
        L.marker([mark.y, mark.x], { icon, zIndexOffset: 1000 - mark.priority * 100, keyboard: false })
          .on("click", () => this.$emit("pick", mark.asset))
          .addTo(this.overlay);
      }
      this.name();
    },
  },
};
