/// The page's style: one column, dark and light by the reader's choice, and for paper.
enum Style {
  static let sheet = HTML.own(
    """
    :root{--text:#1b1b1f;--back:#fff;--soft:#5b5b66;--line:#c9c9d1;--mark:#fff1c2;
    --c0:#3366cc;--c1:#c2410c;--c2:#0f766e;--c3:#9333ea;--c4:#a16207;--c5:#be185d;--c6:#4d7c0f;--c7:#475569}
    @media (prefers-color-scheme:dark){:root{--text:#e8e8ee;--back:#16161a;--soft:#a5a5b3;--line:#44444f;--mark:#4a3f14;
    --c0:#7aa2f7;--c1:#fb923c;--c2:#5eead4;--c3:#c4a1ff;--c4:#facc15;--c5:#f9a8d4;--c6:#a3e635;--c7:#cbd5e1}}
    *{box-sizing:border-box}
    body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif}
    main{max-width:56rem;margin:0 auto;padding:1rem}
    h1{font-size:1.6rem;line-height:1.2;overflow-wrap:anywhere}
    h2{font-size:1.3rem;margin-top:2.2rem;border-bottom:1px solid var(--line);padding-bottom:.2rem;overflow-wrap:anywhere}
    h3{font-size:1.05rem;margin-top:1.6rem;overflow-wrap:anywhere}
    p,li{overflow-wrap:anywhere}
    figure{margin:1.2rem 0}
    figcaption{font-weight:600;margin-bottom:.3rem}
    svg{width:100%;height:auto;display:block}
    svg text{font:13px system-ui,sans-serif;fill:var(--text)}
    .legend{list-style:none;padding:0;margin:0 0 .3rem;display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.9rem}
    .swatch{display:inline-block;width:.8rem;height:.8rem;margin-right:.35rem;border-radius:2px;vertical-align:-1px;print-color-adjust:exact;-webkit-print-color-adjust:exact}
    .scroll{overflow-x:auto;margin:1rem 0}
    table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
    caption{text-align:left;font-weight:600;padding-bottom:.3rem}
    th,td{padding:.2rem .7rem .2rem 0;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
    th:first-child{text-align:left}
    details{margin:.8rem 0}
    summary{cursor:pointer;color:var(--c0)}
    a{color:var(--c0)}
    nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem}
    pre{overflow-x:auto;background:color-mix(in srgb,var(--text) 6%,transparent);padding:.8rem;font-size:.8rem}
    mark{background:var(--mark);color:inherit}
    sub{font-size:.7rem;color:var(--soft);margin:0 .15rem}
    @media (max-width:480px){svg text{font-size:19px}}
    @media print{main{max-width:none}figure,tr{break-inside:avoid}h2,h3,figcaption{break-after:avoid}.scroll{overflow:visible}th,td{white-space:normal;padding-right:.4rem}}
    """)
}
