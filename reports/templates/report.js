(function () {
  "use strict";
  var box = document.getElementById("find"), rows = document.querySelectorAll("#numbers tbody tr"), left = document.getElementById("left");
  if (!box) { return; }
  document.getElementById("finder").hidden = false;
  box.addEventListener("input", function () {
    document.getElementById("numbers").closest("details").open = true;
    var words = box.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
    rows.forEach(function (row) {
      var text = row.textContent.toLowerCase();
      row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
      shown += row.hidden ? 0 : 1;
    });
    left.textContent = shown + " of " + rows.length + " rows";
  });
})();
