// The sleeping sort.
'use strict';
const sleep = ms => new Promise(r => setTimeout(r, ms));
(async () => {
  const out = [], tasks = [];
  for (const n of [5, 1, 4, 2, 3])
    tasks.push((async () => {
      await sleep(n * 15);
      out.push(n);
      return n;
    })());
  console.log((await Promise.all(tasks)).join(' '));
  console.log(out.join(' '));
})();
