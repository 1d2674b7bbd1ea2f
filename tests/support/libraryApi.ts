/** Writes docs/buyer-api.md: every export of the library with its signature and docstring, out of the sources. */
import { fileURLToPath } from 'node:url';

import { format, resolveConfig } from 'prettier';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ENTRY = `${ROOT}src/library.ts`;

/** One export; `text` is empty if nobody described it. */
type ApiItem = { readonly name: string; readonly text: string; readonly code: string };

/** Exports under the comment that stands above them in the entry. */
export type ApiGroup = { readonly title: string; readonly items: readonly ApiItem[] };

function programOfEntry(): ts.Program {
  const read = ts.readConfigFile(`${ROOT}tsconfig.json`, (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, ROOT);
  return ts.createProgram([ENTRY, `${ROOT}src/liquid/electrum-client.d.ts`], { ...options, incremental: false });
}

/** The text of a node up to its body, if it has one. */
function headOf(node: ts.Node & { readonly body?: ts.Node | undefined }): string {
  const text = node.getSourceFile().text;
  return text.slice(node.getStart(), node.body?.getStart() ?? node.getEnd()).trim();
}

function classText(node: ts.ClassDeclaration): string {
  const parents = (node.heritageClauses ?? []).map((clause) => clause.getText()).join(' ');
  const members = node.members.map((member) =>
    ts.isConstructorDeclaration(member) ? headOf(member) : member.getText(),
  );
  return `class ${node.name?.text ?? ''} ${parents} {\n${members.join('\n')}\n}`;
}

const PRINTED: ts.TypeFormatFlags = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.InTypeAlias;

/** A type as it is written out, without the files that it is from. */
const written = (checker: ts.TypeChecker, type: ts.Type, node: ts.Node): string =>
  checker.typeToString(type, node, PRINTED).replaceAll(/import\("[^"]+"\)\./g, '');

function codeOf(checker: ts.TypeChecker, symbol: ts.Symbol, node: ts.Declaration): string {
  if (ts.isFunctionDeclaration(node)) return headOf(node);
  if (ts.isClassDeclaration(node)) return classText(node);
  if (ts.isTypeAliasDeclaration(node)) {
    if (!node.getText().includes('z.output')) return node.getText();
    // The type of a schema says nothing to a reader; what it comes to does.
    const whole = written(checker, checker.getDeclaredTypeOfSymbol(symbol), node);
    return `type ${symbol.name} = ${whole}`;
  }
  if (ts.isVariableDeclaration(node)) {
    return `const ${symbol.name}: ${written(checker, checker.getTypeOfSymbolAtLocation(symbol, node), node)}`;
  }
  return `type ${symbol.name}`;
}

/** Written-out types inside others by their names, the longest first. */
function withNames(groups: readonly ApiGroup[]): ApiGroup[] {
  const bodies = groups
    .flatMap(({ items }) => items)
    .flatMap(({ name, code }) =>
      code.startsWith(`type ${name} = `) ? [[name, code.split(' = ')[1] ?? ''] as const] : [],
    )
    .filter(([, body]) => body.startsWith('{ ') && !body.includes('\n'))
    .sort(([, a], [, b]) => b.length - a.length);
  const named = ({ name, text, code }: ApiItem): ApiItem => {
    const others = bodies.filter(([other]) => other !== name);
    return { name, text, code: others.reduce((sum, [other, body]) => sum.replaceAll(body, other), code) };
  };
  return groups.map(({ title, items }) => ({ title, items: items.map(named) }));
}

function textOf(checker: ts.TypeChecker, symbol: ts.Symbol): string {
  const sentences = ts.displayPartsToString(symbol.getDocumentationComment(checker));
  const tags = symbol.getJsDocTags(checker).map(({ name, text }) => {
    const words = ts.displayPartsToString(text).replace(/^([A-Za-z.]+) /, name === 'param' ? '`$1`: ' : '$1 ');
    return `- ${{ throws: 'throws ', returns: 'gives ' }[name] ?? ''}${words.replaceAll('\n', ' ')}`;
  });
  return [sentences.replaceAll(/\{@link (\w+)\}/g, '`$1`'), tags.join('\n')].filter((part) => part !== '').join('\n\n');
}

/** Titles are the `// comments` between the entry's exports. */
function titleAbove(statement: ts.Statement, source: ts.SourceFile): string | undefined {
  const above = source.text.slice(statement.getFullStart(), statement.getStart());
  return /^\/\/ (.+?)\.?$/m.exec(above)?.[1];
}

const packageOf = (node: ts.Node): string => /.*node_modules\/([^/]+)/.exec(node.getSourceFile().fileName)?.[1] ?? '';

function itemsOf(checker: ts.TypeChecker, statement: ts.ExportDeclaration): ApiItem[] {
  if (statement.exportClause === undefined || !ts.isNamedExports(statement.exportClause)) return [];
  return statement.exportClause.elements.map((element) => {
    const local = checker.getSymbolAtLocation(element.name);
    const symbol = local === undefined ? undefined : checker.getAliasedSymbol(local);
    const [node] = symbol?.declarations ?? [];
    if (symbol === undefined || node === undefined) throw new Error(`${element.name.text} is not declared`);
    const isForeign = node.getSourceFile().fileName.includes('/node_modules/');
    const text = isForeign ? `As the package \`${packageOf(node)}\` has it.` : textOf(checker, symbol);
    return { name: element.name.text, text, code: isForeign ? `type ${symbol.name}` : codeOf(checker, symbol, node) };
  });
}

/** The library's exports, in the order of its entry. */
export function libraryApi(): ApiGroup[] {
  const program = programOfEntry();
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(ENTRY);
  if (source === undefined) throw new Error(`no ${ENTRY}`);
  const groups: { title: string; items: ApiItem[] }[] = [];
  for (const statement of source.statements) {
    if (!ts.isExportDeclaration(statement)) continue;
    const title = titleAbove(statement, source);
    if (title !== undefined) groups.push({ title, items: [] });
    groups.at(-1)?.items.push(...itemsOf(checker, statement));
  }
  return withNames(groups);
}

/** The page. */
export async function renderLibraryApi(groups: readonly ApiGroup[]): Promise<string> {
  const parts = groups.flatMap(({ title, items }) => [
    `## ${title}`,
    ...items.map(
      ({ name, text, code }) => `### ${name}\n\n${text}\n\n\`\`\`ts\n${code.replace(/^export /, '')}\n\`\`\``,
    ),
  ]);
  const head =
    '# The library, export by export\n\nGenerated from the sources by a test (`UPDATE_DOCS=1`). How the parts go together: [buyer-library.md](buyer-library.md).';
  const page = `${[head, ...parts].join('\n\n')}\n`;
  return await format(page, { ...(await resolveConfig(`${ROOT}docs/buyer-api.md`)), parser: 'markdown' });
}
