// Starting tasks that do not wait, until the last has finished.
//
// halo.spawn gives a promise at once, runs the function as one microtask in the async context of
// its caller, and settles the promise. Node has no one call for that. Two forms come close:
//   queue  a new Promise settled from queueMicrotask, which API and order of halo.spawn follow
//   then   Promise.resolve().then(async ...), the cheapest that still may wait in its body
// (A bare async call runs inline, which spawn never does.) The form is the argument. Prints
// "<form>_ns": a million started before the first may run, so that all of them wait in memory, and
// "<form>_batched_ns": 1000 at a time. Medians of three.
const count = 1000000;
const form = process.argv[2] || "queue";
let finished = 0;

const forms = {
  queue() {
    return new Promise((resolve, reject) => {
      queueMicrotask(() => {
        try {
          finished++;
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  },
  then() {
    return Promise.resolve().then(async () => { finished++; });
  },
};
const spawn = forms[form];

async function measure(batch) {
  const times = [];
  for (let sample = 0; sample < 3; sample++) {
    finished = 0;
    const begin = process.hrtime.bigint();
    for (let done = 0; done < count; done += batch) {
      let last;
      for (let i = 0; i < batch; i++) last = spawn();
      await last;
    }
    times.push(Number(process.hrtime.bigint() - begin) / count);
    if (finished !== count) throw new Error("not all finished");
  }
  times.sort((a, b) => a - b);
  return times[1].toFixed(1);
}

async function main() {
  for (let i = 0; i < 10000; i++) await spawn();
  console.log(form + "_ns", await measure(count));
  console.log(form + "_batched_ns", await measure(1000));
}

main();
