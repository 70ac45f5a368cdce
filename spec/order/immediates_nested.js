// An immediate set by an immediate runs in the next turn of the loop.
'use strict';
function level(name, depth) {
  console.log(name + '\t' + depth);
  if (depth < 3) {
    setImmediate(level, name, depth + 1);
    queueMicrotask(() => {
      setImmediate(() => console.log(['of microtask', name, depth].join('\t')));
    });
  }
}
setImmediate(level, 'a', 1);
setImmediate(level, 'b', 1);
