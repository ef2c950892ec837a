"""The look of the page: one style sheet, light and dark, wide and narrow."""

CSS = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --text: #2a2f36; --faint: #5a626b;
  --line: #dde2e7; --head: #f3f5f7; --accent: #1b6ca8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #15181c; --text: #e4e8ec; --faint: #9aa4ae;
    --line: #343b43; --head: #20252b; --accent: #6fb3e0;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.25rem; max-width: 90rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  -webkit-text-size-adjust: 100%; overflow-wrap: anywhere;
}
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .6rem; }
p, ul { margin: .5rem 0; color: var(--faint); max-width: 60rem; }
ul { padding-left: 1.2rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; margin-top: .75rem; }
a { color: var(--accent); }
.scroll {
  overflow-x: auto; border: 1px solid var(--line); border-radius: .5rem;
}
table {
  border-collapse: separate; border-spacing: 0; width: 100%;
  font-size: .875rem; font-variant-numeric: tabular-nums;
}
th, td {
  padding: .45rem .7rem; text-align: left; white-space: nowrap;
  border-bottom: 1px solid var(--line); overflow-wrap: normal;
}
th { background: var(--head); font-weight: 600; }
thead th { vertical-align: bottom; }
tbody tr:last-child > * { border-bottom: 0; }
th.number { white-space: normal; min-width: 6.5rem; }
.number { text-align: right; }
.number small { display: block; color: var(--faint); font-size: inherit; }
.flags { white-space: normal; min-width: 11rem; }
th:first-child {
  position: sticky; left: 0; z-index: 1; min-width: 8.5rem;
  white-space: normal; overflow-wrap: anywhere;
  border-right: 1px solid var(--line);
}
.figures {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr));
}
figure { margin: 0; min-width: 0; }
figure img {
  display: block; width: 100%; max-width: 50rem; height: auto;
  background: #fff; border: 1px solid var(--line); border-radius: .5rem;
}
figcaption { color: var(--faint); font-size: .875rem; padding-top: .25rem; }
details {
  border-bottom: 1px solid var(--line); padding: .45rem 0;
}
summary { cursor: pointer; font-weight: 600; }
dl {
  display: grid; grid-template-columns: minmax(6rem, max-content) 1fr;
  gap: .2rem 1rem; font-size: .875rem; margin: .5rem 0;
}
dt { color: var(--faint); }
dd { margin: 0; min-width: 0; }
@media (max-width: 40rem) {
  body { padding: .9rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .4rem; }
}
"""
