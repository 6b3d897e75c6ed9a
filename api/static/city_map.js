// The network without tiles: local metres on a plain plane, pipes and meters on one canvas, alarms on top.
import { leaflet as L } from "nicegui-leaflet";

const SHAPE_SIZE = 24;

export default {
  template: `<div class="gg-map"><div ref="map" style="width:100%;height:100%"></div></div>`,
  props: { resourcePath: String, marks: Array, selected: String, shapes: Object },
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
      if (mark && this.map && !this.map.getBounds().pad(-0.1).contains([mark.y, mark.x])) this.map.panTo([mark.y, mark.x]);
    },
    build() {
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim();
      this.map = L.map(this.$refs.map, {
        crs: L.CRS.Simple,
        preferCanvas: true,
        attributionControl: false,
        minZoom: -5,
        maxZoom: 3,
        zoomSnap: 0.05,
        zoomDelta: 0.5,
      });
      this.map.setView([0, 0], 0, { animate: false });
      const bounds = L.latLngBounds([]);
      if (this.city.pipes) {
        const pipes = L.geoJSON(this.city.pipes, {
          interactive: false,
          coordsToLatLng: ([x, y]) => L.latLng(y, x),
          style: (feature) => {
            const main = ["medium", "high"].includes(feature.properties?.pressure || feature.properties?.kind);
            return { color: colour(main ? "--pipe-main" : "--pipe"), weight: main ? 3 : 1.5 };
          },
        }).addTo(this.map);
        bounds.extend(pipes.getBounds());
      }
      for (const [id, x, y] of this.city.meters) {
        const dot = L.circleMarker([y, x], { radius: 1.5, stroke: false, fillColor: colour("--faint"), fillOpacity: 0.9 });
        dot.bindTooltip(id).addTo(this.map);
        bounds.extend([y, x]);
      }
      for (const site of this.city.stations) {
        const size = site.kind === "station" ? 14 : 11;
        const icon = L.divIcon({ className: `gg-site-box`, iconSize: [size, size], html: `<div class="gg-site ${site.kind === "station" ? "station" : "regulator"}" style="width:${size}px;height:${size}px"></div>` });
        const label = document.createElement("span");
        label.textContent = site.name;
        L.marker([site.y, site.x], { icon, keyboard: false })
          .bindTooltip(label, { permanent: true, direction: "bottom", offset: [0, 8], className: "name" })
          .on("click", () => this.$emit("pick", site.id))
          .addTo(this.map);
        bounds.extend([site.y, site.x]);
      }
      this.bounds = bounds.isValid() ? bounds : L.latLngBounds([0, 0], [1000, 1000]);
      L.control.scale({ imperial: false }).addTo(this.map);
      this.overlay = L.layerGroup().addTo(this.map);
      this.fit();
      for (const event of ["mousedown", "wheel", "touchstart"]) {
        this.$refs.map.addEventListener(event, () => (this.moved = true), { passive: true });
      }
    },
    fit() {
      this.map.fitBounds(this.bounds, { paddingTopLeft: [56, 32], paddingBottomRight: [56, 44], animate: false });
    },
    show(marks) {
      this.shown = marks;
      if (!this.overlay) return;
      this.overlay.clearLayers();
      for (const mark of marks) {
        const box = document.createElement("div");
        box.className = `gg-pin${mark.asset === this.chosen ? " chosen" : ""}`;
        box.innerHTML = mark.html;
        const icon = L.divIcon({ className: "gg-pin-box", iconSize: [SHAPE_SIZE, SHAPE_SIZE], html: box });
        L.marker([mark.y, mark.x], { icon, zIndexOffset: 1000 - mark.priority * 100, keyboard: false })
          .on("click", () => this.$emit("pick", mark.asset))
          .addTo(this.overlay);
      }
    },
  },
};
