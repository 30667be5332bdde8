/** Files that are shown to a program of TypeScript's which did not read them: parsed, bound, and with what the program notes on its own. */
import type * as tsTypes from 'typescript'
import type { TypeScript } from './typescript.js'

/** What imports lead to. */
export interface Resolutions {
  get(name: string, mode: unknown): { resolvedModule?: tsTypes.ResolvedModuleFull } | undefined
  set(name: string, mode: unknown, found: unknown): unknown
  forEach(each: (found: unknown, name: string, mode: unknown) => void): void
}

export type ModuleFile = tsTypes.SourceFile & {
  path: string
  resolvedPath: string
  originalFileName: string
  externalModuleIndicator?: unknown
  locals?: ReadonlyMap<string, tsTypes.Symbol>
  imports: readonly tsTypes.StringLiteralLike[]
  moduleAugmentations: readonly unknown[]
  ambientModuleNames: readonly string[]
  resolvedModules?: Resolutions
}

interface Internals {
  bindSourceFile(file: tsTypes.SourceFile, options: tsTypes.CompilerOptions): void
  createModeAwareCache(): Resolutions
  getSetExternalModuleIndicator(options: tsTypes.CompilerOptions): (file: tsTypes.SourceFile) => void
  isAmbientModule(node: tsTypes.Node): boolean
}

/** A file may hold an import that no statement tells of. */
const MAY_IMPORT = 1 << 21

/** Whether no other file can tell that `file` is there: it is a module, and declares nothing for all. */
export function isAlone(file: ModuleFile): boolean {
  const refers = file.referencedFiles.length + file.typeReferenceDirectives.length + file.libReferenceDirectives.length
  return file.externalModuleIndicator !== undefined && file.moduleAugmentations.length === 0 && refers === 0
}

export class ModuleFiles {
  private made = 0

  constructor(private readonly ts: TypeScript) {}

  /** What the imports of `files` lead to. */
  resolutionsOf(files: readonly ModuleFile[]): Resolutions {
    const all = (this.ts as unknown as Internals).createModeAwareCache()
    for (const { resolvedModules } of files)
      resolvedModules?.forEach((found, name, mode) => void all.set(name, mode, found))
    return all
  }

  /** A file of `text` in place of `like`. */
  make(text: string, like: ModuleFile, options: tsTypes.CompilerOptions, resolutions: Resolutions): ModuleFile {
    const { fileName, languageVersion, impliedNodeFormat } = like
    const { bindSourceFile, getSetExternalModuleIndicator } = this.ts as unknown as Internals
    const setExternalModuleIndicator = getSetExternalModuleIndicator(options)
    const how = { languageVersion, impliedNodeFormat, setExternalModuleIndicator }
    const file = this.ts.createSourceFile(fileName, text, how) as ModuleFile
    // TypeScript keeps what it found out about a file under its path: the next one is another.
    file.path = file.resolvedPath = `${fileName}#${++this.made}`
    file.originalFileName = fileName
    file.imports = this.importsOf(file)
    file.moduleAugmentations = file.statements.filter((one) => (this.ts as unknown as Internals).isAmbientModule(one))
    file.ambientModuleNames = []
    file.resolvedModules = resolutions
    bindSourceFile(file, options)
    return file
  }

  private importsOf(file: ModuleFile): tsTypes.StringLiteralLike[] {
    const { ts } = this
    const found: tsTypes.StringLiteralLike[] = []
    const add = (name: tsTypes.Node | undefined) => {
      if (name && ts.isStringLiteralLike(name) && name.text !== '') found.push(name)
    }
    for (const one of file.statements) {
      if (ts.isImportDeclaration(one) || ts.isExportDeclaration(one)) add(one.moduleSpecifier)
      else if (ts.isImportEqualsDeclaration(one) && ts.isExternalModuleReference(one.moduleReference))
        add(one.moduleReference.expression)
    }
    const visit = (node: tsTypes.Node): void => {
      if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0])
      else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal)
      ts.forEachChild(node, visit)
    }
    if (file.flags & MAY_IMPORT) visit(file)
    return found
  }
}
