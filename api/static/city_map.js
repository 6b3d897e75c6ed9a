// The map of the city: pipes and meters on one canvas, sites and alarms on top. Without tiles it is a plain plane in local
// metres; with a tile server, which only the configuration can name, the plane lies on the earth.
import { leaflet as L } from "nicegui-leaflet";
import { CityNet, unpack } from "/static/city_net.js";

const SHAPE_SIZE = 24;
const APART = 15;
const FLAG_ROOM = 72;
const STREETS = 150;
const SIGNS = 60;
const MOST_MARKS = 400;
const EARTH = 6378137;
const TRY_AGAIN = 15000;
const ZOOM = [44, 76]; // the room of the zoom control in the right lower corner
const EDGES = { paddingTopLeft: [24, 28], paddingBottomRight: [ZOOM[0] + 16, 44], animate: false };

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
  template: `<div class="gg-map"><div ref="map" style="width:100%;height:100%"></div>
    <p v-show="bare" class="gg-map-note" role="status">{{ texts.bare }}</p>
  </div>`,
  props: { resourcePath: String, marks: Array, selected: String, texts: Object, pipes: Array, near: Boolean, places: Boolean },
  data: () => ({ bare: false }),
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
    clearInterval(this.trying);
    this.map?.remove();
  },
  created() {
    this.chosen = this.selected;
    this.shown = this.marks || [];
    this.pins = [];
  },
  methods: {
    select(asset) {
      this.chosen = asset;
      this.show(this.shown);
      const mark = this.shown.find((m) => m.asset === asset);
      // nearer to the edge than EDGES, so that a map that shows the whole city goes on to
      if (mark && this.map) this.map.panInside(this.at(mark.x, mark.y), { padding: [20, 20] });
    },
    // Where a place in local metres lies.
    at(x, y) {
      const tiles = this.city.tiles;
      if (!tiles) return L.latLng(y, x);
      const turn = 180 / Math.PI / EARTH;
      return L.latLng(tiles.latitude + y * turn, tiles.longitude + (x * turn) / Math.cos((tiles.latitude * Math.PI) / 180));
    },
    // Where a place of the map lies in local metres: the reverse of `at`.
    metres({ lat, lng }) {
      const tiles = this.city.tiles;
      if (!tiles) return [lng, lat];
      const turn = (EARTH * Math.PI) / 180;
      return [(lng - tiles.longitude) * turn * Math.cos((tiles.latitude * Math.PI) / 180), (lat - tiles.latitude) * turn];
    },
    build() {
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim();
      const { tiles } = this.city;
      this.map = L.map(this.$refs.map, {
        crs: tiles ? L.CRS.EPSG3857 : L.CRS.Simple,
        attributionControl: Boolean(tiles),
        zoomControl: false,
        minZoom: tiles ? 8 : -8,
        maxZoom: tiles ? 20 : 3,
        zoomSnap: tiles ? 0.25 : 0.05,
        zoomDelta: 0.5,
      });
      this.map.setView(this.at(0, 0), tiles ? 13 : 0, { animate: false });
      if (tiles) {
        const name = document.createElement("span");
        name.textContent = tiles.attribution;
        this.map.attributionControl.setPrefix(false);
        const ground = L.tileLayer(tiles.url, { attribution: name.innerHTML, maxZoom: 20, className: "gg-tiles" });
        // a tile that is missing among others is no matter
        ground.on("tileload", () => (this.bare = false));
        ground.on("tileerror", () => (this.bare = !this.$refs.map.querySelector(".gg-tiles .leaflet-tile-loaded")));
        ground.addTo(this.map);
        this.trying = setInterval(() => this.bare && ground.redraw(), TRY_AGAIN);
      }
      const project = (x, y) => this.map.options.crs.latLngToPoint(this.at(x, y), 0);
      this.net = new CityNet(unpack(this.city, project), {
        pipe: colour("--pipe"),
        main: colour("--pipe-main"),
        dot: colour("--faint"),
        lit: colour("--bad"),
      });
      this.net.lit = this.shares();
      this.net.addTo(this.map);
      this.sites = this.city.stations.map((site) => ({ ...site, at: this.at(site.x, site.y) }));
      this.sites.sort((a, b) => (a.kind === "station" ? 0 : 1) - (b.kind === "station" ? 0 : 1));
      this.whole = this.everything();
      this.bounds = this.around() || this.whole;
      L.control.scale({ imperial: false }).addTo(this.map);
      L.control.zoom({ position: "bottomright", zoomInTitle: this.texts.closer, zoomOutTitle: this.texts.farther }).addTo(this.map);
      this.signs = L.layerGroup().addTo(this.map);
      this.overlay = L.layerGroup().addTo(this.map);
      this.map.on("zoomend resize moveend", () => this.name());
      this.tell();
      this.fit();
      if (this.places) this.map.on("click", ({ latlng }) => this.$emit("place", this.metres(latlng)));
      // Whoever chose a part of the map keeps it when the window changes; a click on a mark is no such choice.
      const chosen = () => (this.moved = true);
      this.map.on("dragstart dblclick", chosen);
      this.$refs.map.addEventListener("wheel", chosen, { passive: true });
      this.$refs.map.querySelector(".leaflet-control-zoom").addEventListener("click", chosen);
    },
    // The id of the meter under the pointer.
    tell() {
      const tip = L.tooltip({ direction: "top", offset: [0, -4] });
      let last = "";
      this.map.on("mousemove", (event) => {
        const name = this.map.dragging.moving?.() ? "" : this.net.meterAt(event.layerPoint);
        if (name !== last) name ? tip.setContent(name).setLatLng(event.latlng).openOn(this.map) : this.map.closeTooltip(tip);
        last = name;
      });
    },
    // How likely each candidate pipe is, in shares of the likeliest.
    shares() {
      const most = Math.max(...(this.pipes || []).map((pipe) => pipe.probability), 1e-6);
      return new Map((this.pipes || []).map((pipe) => [pipe.id, pipe.probability / most]));
    },
    everything() {
      const { box, dots } = this.net.net;
      const bounds = L.bounds([]);
      for (let n = 0; n < box.length; n += 2) bounds.extend([box[n], box[n + 1]]);
      for (let n = 0; n < dots.length; n += 2) bounds.extend([dots[n], dots[n + 1]]);
      const found = L.latLngBounds(this.sites.map((site) => site.at));
      if (bounds.isValid()) for (const corner of [bounds.min, bounds.max]) found.extend(this.map.options.crs.pointToLatLng(corner, 0));
      return found.isValid() ? found : L.latLngBounds(this.at(0, 0), this.at(1000, 1000));
    },
    // Goes to the marks that are shown now, without any to the whole city; whoever had chosen a part of the map gives it up.
    frame() {
      if (!this.map) return;
      this.moved = false;
      this.bounds = this.around(true) || (this.near ? this.bounds : this.whole);
      this.fit();
    },
    // What `near` shows: lit pipes and marks, with some streets around them.
    around(asked = false) {
      if (!this.near && !asked) return null;
      const { ids, box } = this.net.net;
      const bounds = L.latLngBounds([]);
      const corner = (n) => this.map.options.crs.pointToLatLng(L.point(box[n], box[n + 1]), 0);
      ids.forEach((id, pipe) => this.net.lit.has(id) && bounds.extend(corner(4 * pipe)).extend(corner(4 * pipe + 2)));
      for (const mark of this.shown) bounds.extend(this.at(mark.x, mark.y));
      if (!bounds.isValid()) return null;
      const room = this.at(STREETS, STREETS);
      const zero = this.at(0, 0);
      const [up, aside] = [room.lat - zero.lat, room.lng - zero.lng];
      const [a, b] = [bounds.getSouthWest(), bounds.getNorthEast()];
      return L.latLngBounds([a.lat - up, a.lng - aside], [b.lat + up, b.lng + aside]);
    },
    // Signs of the sites in sight; of more than there is room for only stations, until one goes closer.
    place() {
      const view = this.map.getBounds().pad(0.05);
      let seen = this.sites.filter((site) => view.contains(site.at));
      if (seen.length > SIGNS) seen = seen.filter((site) => site.kind === "station").slice(0, SIGNS);
      const keep = new Set(seen.map((site) => site.id));
      for (const site of this.sites) {
        if (site.marker && !keep.has(site.id)) {
          this.signs.removeLayer(site.marker);
          site.marker = site.label = null;
        }
      }
      for (const site of seen) if (!site.marker) this.sign(site);
      return seen;
    },
    sign(site) {
      const size = site.kind === "station" ? 14 : 11;
      const box = document.createElement("div");
      const shape = document.createElement("div");
      shape.className = `gg-site ${site.kind === "station" ? "station" : "regulator"}`;
      shape.style.width = shape.style.height = `${size}px`;
      const label = document.createElement("span");
      label.className = "gg-name";
      label.textContent = site.name;
      box.append(shape, label);
      const icon = L.divIcon({ className: "gg-site-box", iconSize: [size, size], html: box });
      site.marker = L.marker(site.at, { icon, keyboard: false }).on("click", () => this.$emit("pick", site.id)).addTo(this.signs);
      site.label = label;
      site.middle = size / 2;
    },
    fit() {
      this.map.fitBounds(this.bounds, EDGES);
      this.name();
    },
    // Puts each name where it hides the least: never outside, not on other names and signs, seldom on pipes.
    name() {
      if (!this.overlay) return;
      const sites = this.place();
      const point = (at) => this.map.latLngToContainerPoint(at);
      const size = this.map.getSize();
      const flips = ({ x, y }) => x > size.x - FLAG_ROOM - (y > size.y - ZOOM[1] - 36 ? ZOOM[0] : 0);
      for (const { box, at } of this.pins) box.classList.toggle("flipped", flips(point(at)));
      const right = (mark, p) => (mark.html.includes("flag") && !flips(p) ? FLAG_ROOM : 12);
      const taken = [
        [size.x - ZOOM[0], size.y - ZOOM[1], size.x, size.y],
        ...sites.map(({ at }) => around(point(at))),
        ...this.shown.slice(0, SIGNS).map((mark) => [mark, point(this.at(mark.x, mark.y))]).map(([mark, p]) => around(p, right(mark, p))),
      ];
      const shift = this.map.layerPointToContainerPoint(this.net._bounds?.min || [0, 0]);
      const dots = this.net.spots.map(([x, y]) => [x + shift.x, y + shift.y]);
      // all sizes are read before anything is written, or the browser would lay out the page for each name
      const sizes = sites.map(({ label }) => [label.offsetWidth, label.offsetHeight]);
      sites.forEach(({ at, label, middle }, number) => {
        const p = point(at);
        const [w, h] = sizes[number];
        let best = [Infinity];
        SIDES.forEach((side, rank) => {
          const [dx, dy] = side(w, h);
          const box = [p.x + dx, p.y + dy, p.x + dx + w, p.y + dy + h];
          const inside = shared(box, [2, 2, size.x - 2, size.y - 2]);
          let cost = 20 * (w * h - inside) + 2 * rank;
          for (const other of taken) cost += 10 * shared(box, other);
          for (const [x, y] of dots) cost += x > box[0] && x < box[2] && y > box[1] && y < box[3] ? 16 : 0;
          if (cost < best[0]) best = [cost, dx, dy, box];
        });
        label.style.transform = `translate(${Math.round(best[1] + middle)}px, ${Math.round(best[2] + middle)}px)`;
        label.style.visibility = sites.length > 12 && best[0] > 4 * w * h ? "hidden" : "";
        taken.push(best[3]);
      });
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
      this.pins = [];
      for (const mark of [...marks].sort((a, b) => a.priority - b.priority).slice(0, MOST_MARKS)) {
        const box = document.createElement("div");
        box.className = `gg-pin${mark.asset === this.chosen ? " chosen" : ""}`;
        box.innerHTML = mark.html;
        const icon = L.divIcon({ className: "gg-pin-box", iconSize: [SHAPE_SIZE, SHAPE_SIZE], html: box });
        const at = this.at(mark.x, mark.y);
        this.pins.push({ box, at });
        L.marker(at, { icon, zIndexOffset: 1000 - mark.priority * 100, keyboard: false })
          .on("click", () => this.$emit("pick", mark.asset))
          .addTo(this.overlay);
      }
      this.name();
    },
  },
};
