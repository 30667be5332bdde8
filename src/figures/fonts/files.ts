/** Where the fonts are on this machine, as npm brought them (SIL Open Font License 1.1; each package holds its text as LICENSE_FONT). */
import { createRequire } from 'node:module'
import type { Face } from './faces.js'

const require = createRequire(import.meta.url)

export const fontFiles = (): Record<Face, string> => ({
  sans: require.resolve('@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf'),
  bold: require.resolve('@expo-google-fonts/inter/700Bold/Inter_700Bold.ttf'),
  mono: require.resolve('@expo-google-fonts/noto-sans-mono/400Regular/NotoSansMono_400Regular.ttf'),
})
