// Two chains and a microtask chain take turns, one link each.
'use strict';
function chain(name) {
  let p = Promise.resolve();
  for (let i = 1; i <= 4; i++) p = p.then(() => console.log(name + '\t' + i));
}
function micro(i) {
  console.log('micro\t' + i);
  if (i < 4) queueMicrotask(() => micro(i + 1));
}
chain('a');
queueMicrotask(() => micro(1));
chain('b');
