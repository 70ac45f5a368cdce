// An await of a settled promise takes one turn.
'use strict';
(async () => {
  let p = Promise.resolve();
  for (let i = 1; i <= 4; i++) p = p.then(() => console.log('turn\t' + i));
  process.nextTick(console.log, 'tick');
  console.log('before\t' + await Promise.resolve('1'));
  console.log('again\t' + await Promise.resolve('2'));
  try {
    await Promise.reject('3');
  } catch (e) {
    console.log('false\t' + e);
  }
})();
