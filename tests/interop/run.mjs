// run.mjs <build dir> <test file> - runs an interop test, or says in one line why not and leaves with 77 (ctest: skipped).

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { missingPrograms } from '../ui/harness.mjs';

const [buildDir, file] = process.argv.slice(2);

function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(77);
}

if (!existsSync('node_modules/dd-trace'))
  skip(
    'tests/interop has no npm packages (`npm ci` there; `./dev test` does it when npm can be reached)',
  );
const missing = missingPrograms(buildDir).filter((name) => name === 'sonde');
if (missing.length > 0) skip(`not built: ${missing.join(', ')}`);

const done = spawnSync(process.execPath, ['--test', file], {
  stdio: 'inherit',
  env: { ...process.env, SONDE_BUILD_DIR: buildDir },
});
process.exit(done.status ?? 1);
