// An await of a thenable.
'use strict';
(async () => {
  let p = Promise.resolve();
  for (let i = 1; i <= 4; i++) p = p.then(() => console.log('turn\t' + i));
  const thenable = {
    then(resolve) {
      console.log('then');
      resolve('value');
    },
  };
  console.log(await thenable);
})();
