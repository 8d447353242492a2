// What htmx does not do: `/` goes to the search, the arrows go through its results, and the server learns the reader's time zone.
"use strict";
document.cookie = "roe_zone=" + encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone || "") + "; path=/; max-age=31536000; samesite=lax";
document.addEventListener("keydown", function (event) {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
  const search = document.querySelector("#q") || document.querySelector("#quick");
  if (event.key === "/" && !typing && search) {
    event.preventDefault();
    search.focus();
    search.select();
    return;
  }
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = Array.from(document.querySelectorAll("#results .results a"));
  const at = links.indexOf(document.activeElement);
  if (!links.length || (at < 0 && document.activeElement !== document.querySelector("#q"))) return;
  event.preventDefault();
  const next = at + (event.key === "ArrowDown" ? 1 : -1);
  (next < 0 ? search : links[Math.min(next, links.length - 1)]).focus();
});
