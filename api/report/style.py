"""The report's style sheet: one column of paper's width, dark ink, and colour only where something is wrong."""

STYLE = """
:root{--ink:#1a2027;--dim:#56616c;--line:#c9d1d8;--soft:#eef1f4;--bad:#b3202a;--one:#2f5d8a;--two:#8b98a5;--warn:#b35900}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1120px;padding:24px 28px 60px;color:var(--ink);background:#fff;
font:14px/1.45 "Noto Sans","Noto Sans CJK SC","Microsoft YaHei","PingFang SC",system-ui,sans-serif;
font-variant-numeric:tabular-nums}
h1{font-size:24px;margin:0 0 2px}h2{font-size:18px;margin:34px 0 8px;padding-top:10px;border-top:2px solid var(--ink)}
h3{font-size:15px;margin:20px 0 4px}p{margin:4px 0 8px;max-width:80ch}
.dim{color:var(--dim)}small{color:var(--dim);font-weight:400}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:14px 0}
.figures div{border:1px solid var(--line);border-radius:6px;padding:8px 12px}
.figures b{display:block;font-size:22px;line-height:1.25}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;margin:6px 0 12px;font-size:13px}
th{text-align:left;font-weight:600;border-bottom:1.5px solid var(--ink);padding:3px 8px;vertical-align:bottom}
td{border-bottom:1px solid var(--line);padding:3px 8px;vertical-align:top}
.num{text-align:right;white-space:nowrap}th.num{white-space:normal}th small{display:block;white-space:nowrap}
td.zone{min-width:150px}
tr.between td{color:var(--dim);font-style:italic}
.bad,td.bad{color:var(--bad);font-weight:600}td.bad{background:#fbecec}td.none{color:var(--two)}
a{color:var(--one);text-decoration:none}a:hover{text-decoration:underline}
.finding{break-inside:avoid;border:1px solid var(--line);border-radius:6px;padding:10px 14px;margin:12px 0}
.finding h3{margin:0 0 6px}.finding .pair{display:grid;grid-template-columns:1fr 1fr;gap:8px 18px}
.facts{display:flex;flex-wrap:wrap;gap:4px 26px;margin:0 0 6px}.facts small{display:block}
.odds{display:grid;grid-template-columns:max-content 1fr 48px;gap:2px 10px;align-items:center;
max-width:520px;font-size:13px}
.odds i{display:block;height:8px;background:var(--two);border-radius:2px}.odds .first i{background:var(--one)}
.chart{width:100%;height:auto;display:block}.chart text{font-size:10px;fill:var(--dim)}.chart .unit{text-anchor:end}
.chart path,.key path{fill:none;stroke-width:1.5}.key{width:22px;height:8px;vertical-align:middle;margin-right:4px}
path.grid{stroke:var(--soft)}path.zero{stroke:var(--line)}path.one{stroke:var(--one)}
path.two{stroke:var(--two);stroke-dasharray:4 3}path.warn{stroke:var(--warn);stroke-dasharray:4 3}
.chart path.band{fill:rgba(47,93,138,.14);stroke:none}path.mark{stroke:var(--bad);stroke-dasharray:2 2}
.chart text.mark{fill:var(--bad)}
.legend{display:flex;gap:16px;font-size:12px;color:var(--dim);margin:2px 0}
.bar{width:120px;height:16px;display:block}.bar path{fill:none;stroke:var(--line)}.bar .whisker.dot{stroke:var(--dim)}
.bar .whisker.high{stroke:var(--bad)}circle.dot{fill:var(--ink)}circle.high{fill:var(--bad)}
@media print{body{max-width:none;padding:0;font-size:11px}h2{break-after:avoid}table{font-size:10.5px}
thead{display:table-header-group}
tr{break-inside:avoid}.wide{overflow:visible}@page{size:A4 landscape;margin:12mm}}
@media(max-width:760px){.finding .pair{grid-template-columns:1fr}}
"""
