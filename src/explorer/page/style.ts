/** The explorer's looks, from the lab's own colours, so that it is dark where the lab is. */
const MONO = "'DejaVu Sans Mono', 'Liberation Mono', Menlo, Consolas, monospace"
const INK = 'var(--jp-ui-font-color1, #1b1b1f)'
const MUTED = 'var(--jp-ui-font-color2, #55565e)'
const LINE = 'var(--jp-border-color2, #dcdde2)'
const PAPER = 'var(--jp-layout-color1, #ffffff)'
const LOUD = 'var(--jp-brand-color1, #0072b2)'

export const STYLE = `
.zsx { position: relative; color: ${INK}; font: 13px/1.4 var(--jp-ui-font-family, sans-serif); padding: 6px 8px 8px; min-width: 300px; }
.zsx [hidden] { display: none !important; }
.zsx p, .zsx h3 { margin: 0; }
.zsx-bar { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 10px; }
.zsx-scrubber { flex: 1 1 220px; min-width: 160px; accent-color: ${LOUD}; margin: 4px 0; }
.zsx-step { font-variant-numeric: tabular-nums; min-width: 9.5em; }
.zsx select, .zsx button { font: inherit; color: ${INK}; background: ${PAPER}; border: 1px solid ${LINE}; border-radius: 3px; padding: 1px 6px; }
.zsx button { cursor: pointer; }
.zsx-live { font-size: 12px; color: ${MUTED}; }
.zsx-live::before { content: '●'; margin-right: 4px; color: ${LOUD}; }
.zsx-live[data-state='rest']::before, .zsx-live[data-state='gone']::before { content: '○'; }
.zsx-sentence { min-height: 1.4em; white-space: pre-line; font-variant-numeric: tabular-nums; }
.zsx-spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.zsx-legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12px; margin: 3px 0 6px; }
.zsx-swatch { display: inline-block; width: 11px; height: 11px; margin-right: 5px; vertical-align: -1px; border: 1px solid ${LINE}; box-sizing: border-box; }
.zsx-legend .zsx-gone { margin-right: 5px; font-family: ${MONO}; }
.zsx-muted { color: ${MUTED}; font-size: 12px; }
.zsx-runs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); gap: 14px; }
.zsx-run { min-width: 0; }
.zsx-run header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 10px; margin-bottom: 5px; }
.zsx-title { font-size: 14px; font-weight: 600; }
.zsx-run header p { flex-basis: 100%; }
.zsx-receipt summary { cursor: pointer; font-size: 12px; }
.zsx-receipt div { font-size: 12px; max-width: 60em; }
.zsx-ok summary { color: var(--jp-success-color0, #1b5e20); }
.zsx-failed summary { color: var(--jp-error-color1, #d32f2f); font-weight: 600; }
.zsx[data-theme='dark'] .zsx-ok summary { color: var(--jp-success-color2, #81c784); }
.zsx canvas { display: block; width: 100%; }
.zsx-overview { cursor: pointer; }
.zsx-strip { position: relative; height: 13.2em; overflow-y: auto; font: 12px/1.65 ${MONO}; border: 1px solid ${LINE}; border-radius: 3px; padding: 3px 5px; margin: 2px 0 6px; overflow-wrap: anywhere; contain: strict; }
.zsx-token { padding: 1px 0; border-radius: 2px; cursor: pointer; box-shadow: inset -1px 0 ${PAPER}; }
.zsx-gone { color: ${MUTED}; text-decoration: line-through; }
.zsx-later { opacity: 0.28; }
.zsx-merged { text-decoration: underline dotted 2px; text-underline-offset: 2px; }
.zsx-pinned { background-image: linear-gradient(225deg, currentColor 4.5px, transparent 5.5px); }
.zsx-newest { outline: 2px solid ${LOUD}; outline-offset: -1px; }
.zsx-selected { outline: 2px solid ${INK}; outline-offset: -1px; }
.zsx-slots, .zsx-grid { cursor: pointer; margin-bottom: 6px; }
.zsx .zsx-grid-key { margin-bottom: 4px; }
.zsx-shades { display: inline-block; width: 90px; height: 9px; margin: 0 6px; border: 1px solid ${LINE}; }
.zsx-passport { margin-bottom: 6px; font-size: 12px; }
.zsx-passport summary { cursor: pointer; }
.zsx-passport .zsx-lineage { max-height: 16em; }
.zsx-passport td:first-child, .zsx-passport th:first-child, .zsx-passport th:last-child, .zsx-passport td:last-child { text-align: left; }
.zsx-passport th:nth-child(2):nth-child(n), .zsx-passport td:nth-child(2):nth-child(n) { text-align: right; }
.zsx-passport button[aria-pressed='true'] { font-weight: 700; }
.zsx-head-line { font-size: 12px; margin: 2px 0 3px !important; font-variant-numeric: tabular-nums; min-height: 1.4em; }
.zsx-detail { max-height: 16em; min-height: 6em; overflow: hidden; display: flex; flex-direction: column; font-size: 12px; border-top: 1px solid ${LINE}; padding-top: 4px; margin-bottom: 6px; }
.zsx-lineage { overflow: auto; flex: 1; margin-top: 2px; }
.zsx-lineage table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 0; font-size: 12px; }
.zsx-lineage th { position: sticky; top: 0; background: ${PAPER}; text-align: right; font-weight: 600; color: ${MUTED}; padding: 0 10px 1px 0; }
.zsx-lineage td { text-align: right; padding: 0 10px 0 0; }
.zsx-lineage th:nth-child(2), .zsx-lineage td:nth-child(2) { text-align: left; }
.zsx-lineage tbody tr:nth-child(n) { background: none; }
.zsx .zsx-member { font: 12px/1.3 ${MONO}; padding: 0 4px; border-color: transparent; }
.zsx .zsx-member:hover, .zsx .zsx-member:focus-visible { border-color: ${LINE}; }
.zsx-card { position: absolute; z-index: 10; pointer-events: none; max-width: min(340px, 90%); background: ${PAPER}; border: 1px solid ${LINE}; border-radius: 4px; box-shadow: 0 2px 8px rgba(0, 0, 0, 0.35); padding: 5px 8px; font-size: 12px; }
.zsx-message { padding: 8px; border: 1px solid ${LINE}; border-radius: 3px; margin: 4px 0 !important; }
.zsx :focus-visible { outline: 2px solid ${LOUD}; outline-offset: 1px; }
`
