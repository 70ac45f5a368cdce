// Tasks that yield take turns.
'use strict';
const immediate = () => new Promise(r => setImmediate(r));
for (const name of ['a', 'b', 'c'])
  queueMicrotask(async () => {
    for (let i = 1; i <= 4; i++) {
      console.log(name + '\t' + i);
      process.nextTick(() => console.log('tick\t' + name));
      await immediate();
    }
  });
