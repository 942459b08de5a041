package tenant

// PacedUnsent is how many bytes the kernel accepts for a paced connection and has not sent, so
// that a peer that falls behind is noticed soon. The odd
// number marks the connection: by it, a tenant recognises those that their listener wants paced.
const PacedUnsent = 64<<10 + 1
