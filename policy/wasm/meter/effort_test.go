//go:build !full

package meter

// generatedModules is how many modules TestRewrittenAgrees and TestEnginesAgree generate.
const generatedModules = 10

// allFrames makes TestStackIsBounded compile the frames that take long, too.
const allFrames = false
