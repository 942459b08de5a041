//go:build native

package native

// Built says whether this build can load the policy.
const Built = true
