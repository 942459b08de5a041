//go:build full

package meter

// generatedModules is how many modules TestRewrittenAgrees and TestEnginesAgree generate.
const generatedModules = 150

// allFrames makes TestStackIsBounded compile the frames that take long, too.
const allFrames = true
