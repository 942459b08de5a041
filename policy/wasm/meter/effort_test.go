//go:build !full

package meter

// generatedModules is how many modules TestRewrittenAgrees generates.
const generatedModules = 50
