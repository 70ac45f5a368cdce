// Three tasks with awaits in a loop take turns.
'use strict';
for (const name of ['a', 'b', 'c'])
  queueMicrotask(async () => {
    for (let i = 1; i <= 3; i++) {
      console.log(name + '\t' + i);
      await Promise.resolve(i);
    }
    console.log(name + '\tends');
  });
Promise.resolve().then(() => console.log('turn 1')).then(() => console.log('turn 2'));
