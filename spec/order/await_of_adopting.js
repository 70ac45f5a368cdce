// An await of a promise that adopts another.
'use strict';
(async () => {
  let p = Promise.resolve();
  for (let i = 1; i <= 6; i++) p = p.then(() => console.log('turn\t' + i));
  console.log(await new Promise(resolve => resolve(Promise.resolve('adopted'))));
  console.log(await Promise.resolve('x').then(v => v + 'y'));
})();
