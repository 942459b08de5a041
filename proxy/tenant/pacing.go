package tenant

// PacedUnsent is how many bytes the kernel accepts for a paced connection and has not sent, so
// that a peer that falls behind is noticed soon. By this limit, which nobody else would choose,
// a tenant knows the connections that their listener wants paced.
const PacedUnsent = 64<<10 + 1
