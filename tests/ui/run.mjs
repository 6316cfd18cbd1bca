// run.mjs <build dir> <test file> - runs a browser test, or says in one line why not and leaves with 77 (ctest: skipped).

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { missingPrograms } from './harness.mjs';

const [buildDir, file] = process.argv.slice(2);
const chromium = process.env.SONDE_CHROMIUM ?? '/usr/bin/chromium';

function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(77);
}

if (!existsSync('node_modules/playwright-core'))
  skip(
    'tests/ui has no npm packages (`npm ci` there; `./dev test` does it when npm can be reached)',
  );
if (!existsSync(chromium))
  skip(`no browser at ${chromium} (install chromium, or set SONDE_CHROMIUM)`);
const missing = missingPrograms(buildDir);
if (missing.length > 0) skip(`not built: ${missing.join(', ')}`);
if (!existsSync('../../dashboards/ui/node_modules'))
  skip('the program was built without the UI: npm ci in dashboards/ui, then build again');

const done = spawnSync(process.execPath, ['--test', file], {
  stdio: 'inherit',
  env: { ...process.env, SONDE_BUILD_DIR: buildDir, SONDE_CHROMIUM: chromium },
});
process.exit(done.status ?? 1);
