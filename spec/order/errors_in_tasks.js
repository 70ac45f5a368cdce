// Errors of awaited promises are raised where they are awaited.
'use strict';
queueMicrotask(async () => {
  for (const [name, p] of [
    ['rejected', () => Promise.reject('a')],
    ['fulfilled', () => Promise.resolve('b')],
    ['raised', () => new Promise(() => { throw 'c'; })]])
    try {
      console.log([name, true, await p()].join('\t'));
    } catch (e) {
      console.log([name, false, e].join('\t'));
    }
});
queueMicrotask(async () => {
  for (let i = 1; i <= 4; i++)
    try {
      console.log(['loop', true, await (i % 2 === 0 ? Promise.reject(i) : Promise.resolve(i))].join('\t'));
    } catch (e) {
      console.log(['loop', false, e].join('\t'));
    }
});
