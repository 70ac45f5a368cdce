// Tasks under promise.all, each with other waits.
'use strict';
const spawn = f => new Promise((ret, fail) => queueMicrotask(() => f(ret, fail)));
const work = n => spawn(async ret => {
  console.log('begin\t' + n);
  for (let i = 0; i < n; i++) await Promise.resolve();
  console.log('end\t' + n);
  ret(n * n);
});
(async () => {
  const tasks = [];
  for (let i = 1; i <= 3; i++) tasks.push(work(4 - i));
  console.log((await Promise.all(tasks)).join(' '));
  console.log('raced\t' + await Promise.race([work(2), work(1)]));
})();
