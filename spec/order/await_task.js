// A task is fulfilled as its body returns; who awaits it goes on a turn later.
'use strict';
const spawn = f => new Promise((ret, fail) => queueMicrotask(() => f(ret, fail)));
(async () => {
  let p = Promise.resolve();
  for (let i = 1; i <= 6; i++) p = p.then(() => console.log('turn\t' + i));
  const t = spawn(async ret => {
    console.log('body');
    await Promise.resolve();
    console.log('body ends');
    ret(1 + 2);
  });
  console.log('result\t' + await t);
  console.log('again\t' + await t);
  try {
    await spawn((_, fail) => fail('raised'));
  } catch (e) {
    console.log('false\t' + e);
  }
})();
