/// The style sheet of a report: one column of text, charts two abreast where there is room, light and dark as
/// the reader's system is set, and black on white when printed.
package enum ReportStyle {
  package static let css = """
    \(layout)
    \(charts)
    \(HeatColours.css(HeatColours.light))
    @media screen and (prefers-color-scheme: dark) {
    :root { \(darkColours) }
    \(HeatColours.css(HeatColours.dark))
    }
    \(print)
    """

  private static let lightColours = """
    --paper: #fdfdfb; --ink: #1c1d20; --quiet: #5b6068; --line: #dcdcd8; --soft: #f4f3ef;
    --valuator: #b23c08; --influence: #1f5f9e; --baseline: #626973; --reference: #1c1d20; --link: #1f5f9e;
    """

  private static let darkColours = """
    --paper: #15171b; --ink: #e9e9e6; --quiet: #a5abb4; --line: #363a42; --soft: #1d2026;
    --valuator: #ff9d63; --influence: #82b7ee; --baseline: #adb4be; --reference: #e9e9e6; --link: #82b7ee;
    """

  private static let layout = """
    :root { color-scheme: light dark; \(lightColours)
      --serif: Charter, "Bitstream Charter", "Sitka Text", Cambria, "Liberation Serif", Georgia, serif;
      --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif; }
    * { box-sizing: border-box; }
    html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
    body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.55 var(--serif); }
    .page { max-width: 66rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
    p, ul.prose { max-width: 41rem; margin: 0 0 .9rem; }
    h1 { font-size: clamp(1.7rem, 1.2rem + 2.2vw, 2.5rem); line-height: 1.15; font-weight: 600; margin: 0 0 .6rem;
      letter-spacing: -.012em; text-wrap: balance; max-width: 46rem; overflow-wrap: anywhere; }
    h2 { font-size: 1.4rem; line-height: 1.25; font-weight: 600; margin: 3.2rem 0 .8rem; padding-top: .8rem;
      border-top: 1px solid var(--line); }
    h3 { font: 600 1rem/1.4 var(--sans); margin: 0; display: inline; }
    a { color: var(--link); }
    .kicker { font: .8125rem/1.4 var(--sans); color: var(--quiet); margin-bottom: .9rem; }
    .sub { color: var(--quiet); }
    .lead { font-size: 1.25rem; line-height: 1.45; max-width: 44rem; }
    .key { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: 1.25rem 1.75rem;
      margin: 1.8rem 0 0; font-family: var(--sans); }
    .key div { border-top: 2px solid var(--ink); padding-top: .45rem; display: flex; flex-direction: column; }
    .key .ours { border-color: var(--valuator); }
    .key dt { order: 2; font-size: .8125rem; line-height: 1.35; color: var(--quiet); }
    .key dd { margin: 0; font-size: 1.75rem; line-height: 1.2; font-weight: 600; letter-spacing: -.01em;
      font-variant-numeric: tabular-nums; }
    .key .ours dd { color: var(--valuator); }
    .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20.5rem), 1fr));
      gap: 2rem 2.5rem; margin: 1.4rem 0 1.8rem; align-items: start; }
    figure { margin: 0; min-width: 0; max-width: 31rem; }
    figcaption, caption { font: .8438rem/1.45 var(--sans); color: var(--quiet); }
    figcaption { margin-top: .55rem; }
    figcaption strong, caption strong { color: var(--ink); font-weight: 600; }
    .scroll { overflow-x: auto; margin: 1.2rem 0 1.6rem; }
    .scroll:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--link);
      outline-offset: 3px; }
    table { border-collapse: collapse; font: .875rem/1.4 var(--sans); font-variant-numeric: tabular-nums;
      min-width: min(100%, 30rem); }
    caption { text-align: left; padding-bottom: .5rem; position: sticky; left: 0;
      max-width: min(46rem, calc(100vw - 2.5rem)); }
    th, td { padding: .38rem 1.1rem .38rem 0; text-align: left; vertical-align: top; }
    th:last-child, td:last-child { padding-right: .25rem; }
    thead th { font-weight: 600; border-bottom: 1px solid var(--ink); vertical-align: bottom; line-height: 1.25; }
    tbody th { font-weight: 500; }
    th.method { white-space: nowrap; }
    tbody tr + tr > *, tbody + tbody tr:first-child > * { border-top: 1px solid var(--line); }
    tbody:last-child tr:last-child > * { border-bottom: 1px solid var(--line); }
    th.n, td.n { text-align: right; }
    td.n { white-space: nowrap; }
    td.n small { display: block; white-space: normal; max-width: 16em; margin-left: auto; }
    td.quiet { color: var(--quiet); }
    td small { color: var(--quiet); font-size: .8125rem; display: block; }
    tr.ours th { color: var(--valuator); font-weight: 700; }
    td.formula { min-width: 12rem; max-width: 26rem; }
    td.heat { background: var(--cell); color: var(--on); text-align: right; padding: .38rem .6rem;
      border-left: 2px solid var(--paper); }
    td.heat.none { color: var(--quiet); }
    td.row { min-width: 12rem; max-width: 44rem; overflow-wrap: anywhere; }
    .who { color: var(--quiet); font-size: .8125rem; }
    .hash, code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace;
      font-size: .8125rem; overflow-wrap: anywhere; }
    th.group { font-weight: 600; color: var(--quiet); padding-top: .7rem; }
    details { border-top: 1px solid var(--line); }
    details:last-of-type { border-bottom: 1px solid var(--line); }
    summary { cursor: pointer; padding: .55rem 0; font-family: var(--sans); }
    summary .sub { font-size: .875rem; }
    details .scroll { margin-top: .2rem; }
    footer { margin-top: 3rem; font: .8125rem/1.5 var(--sans); color: var(--quiet); }
    """

  private static let charts = """
    svg { display: block; width: 100%; height: auto; overflow: visible; font: 11px var(--sans);
      font-variant-numeric: tabular-nums; }
    svg text { fill: var(--ink); }
    svg .tick, svg .quiet { fill: var(--quiet); }
    svg .mid { text-anchor: middle; }
    svg .end { text-anchor: end; }
    svg text.valuator { fill: var(--valuator); font-weight: 700; }
    svg text.reference { font-weight: 700; }
    .halo { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
    .grid { stroke: var(--line); stroke-width: .75; }
    .zero { stroke: var(--quiet); stroke-width: 1; }
    .chance { stroke: var(--quiet); stroke-width: 1; stroke-dasharray: 3 3; }
    .mark { stroke: var(--paper); stroke-width: 1; fill: var(--tone); }
    .mark.hollow { fill: var(--paper); stroke: var(--tone); stroke-width: 1.6; }
    .whisker { stroke: var(--tone); stroke-width: 1.6; }
    .bar { fill: var(--tone); }
    .box { stroke: var(--tone); stroke-width: 7; opacity: .45; }
    .curve { fill: none; stroke: var(--tone); stroke-width: 2; stroke-linejoin: round; }
    .rival { stroke: var(--ink); stroke-width: 2; }
    .rival.under { stroke: var(--paper); stroke-width: 5; }
    .valuator { --tone: var(--valuator); }
    .influence { --tone: var(--influence); }
    .baseline { --tone: var(--baseline); }
    .reference { --tone: var(--reference); }
    .cell { fill: var(--cell); stroke: var(--paper); stroke-width: 1; }
    .cellnumber { font-size: 10px; text-anchor: middle; }
    svg text.cellnumber { fill: var(--on); }
    .cell.none { fill: none; stroke: var(--line); }
    svg text.cellnumber.none { fill: var(--quiet); }
    .diagonal { fill: var(--soft); stroke: var(--paper); stroke-width: 1; }
    """

  private static let print = """
    @media print {
    @page { margin: 16mm 15mm; }
    body { font-size: 10.5pt; background: none; }
    .page { max-width: none; padding: 0; }
    h2 { margin-top: 1.6rem; break-after: avoid; }
    figure, .figures, tr, .key { break-inside: avoid; }
    p, li { break-inside: avoid; }
    h2 + p, p:has(+ .figures), summary, caption { break-after: avoid; }
    .scroll { overflow: visible; }
    .figures { grid-template-columns: 1fr 1fr; gap: 1.2rem 1.6rem; }
    .key { grid-template-columns: repeat(5, 1fr); gap: 1rem; }
    .key dd { font-size: 1.4rem; }
    table { font-size: 8.5pt; }
    th, td { padding-right: .6rem; }
    td.row, td.formula { min-width: 0; }
    details:not([open]) { display: none; }
    * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
    }
    """
}
