//go:build full

package meter

// generatedModules is how many modules TestRewrittenAgrees generates.
const generatedModules = 400

// allFrames makes TestStackIsBounded compile the frames that take long, too.
const allFrames = true
