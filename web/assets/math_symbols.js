// TeX's names for single characters, as far as answers use them.

const table = (text) => Object.fromEntries(text.trim().split(/\s+/).map((pair) => pair.split("=")));

export const letters = table(`
alpha=α beta=β gamma=γ delta=δ epsilon=ϵ varepsilon=ε zeta=ζ eta=η theta=θ vartheta=ϑ iota=ι kappa=κ lambda=λ mu=μ nu=ν xi=ξ pi=π
rho=ρ sigma=σ tau=τ upsilon=υ phi=ϕ varphi=φ chi=χ psi=ψ omega=ω Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Phi=Φ Psi=Ψ Omega=Ω
infty=∞ partial=∂ nabla=∇ emptyset=∅ varnothing=∅ ell=ℓ hbar=ℏ Re=ℜ Im=ℑ aleph=ℵ ldots=… dots=… cdots=⋯ vdots=⋮ ddots=⋱ angle=∠
degree=° prime=′ top=⊤ bot=⊥ checkmark=✓ square=□ blacksquare=■ triangle=△`);

export const operators = table(`
times=× cdot=· div=÷ pm=± mp=∓ ast=∗ star=⋆ circ=∘ bullet=∙ oplus=⊕ otimes=⊗ le=≤ leq=≤ leqslant=≤ ge=≥ geq=≥ geqslant=≥ ne=≠ neq=≠
ll=≪ gg=≫ equiv=≡ approx=≈ sim=∼ simeq=≃ cong=≅ propto=∝ mid=∣ nmid=∤ parallel=∥ perp=⊥ in=∈ notin=∉ ni=∋ subset=⊂ subseteq=⊆ supset=⊃
supseteq=⊇ cup=∪ cap=∩ setminus=∖ land=∧ wedge=∧ lor=∨ vee=∨ lnot=¬ neg=¬ forall=∀ exists=∃ to=→ rightarrow=→ longrightarrow=⟶
leftarrow=← Rightarrow=⇒ implies=⟹ Longrightarrow=⟹ Leftarrow=⇐ Leftrightarrow=⇔ iff=⟺ leftrightarrow=↔ mapsto=↦ uparrow=↑
downarrow=↓ therefore=∴ because=∵ colon=: langle=⟨ rangle=⟩ lfloor=⌊ rfloor=⌋ lceil=⌈ rceil=⌉ vert=| Vert=‖ lvert=| rvert=| lVert=‖ rVert=‖
backslash=\\`);

export const largeOperators = table("sum=∑ prod=∏ coprod=∐ int=∫ iint=∬ iiint=∭ oint=∮ bigcup=⋃ bigcap=⋂ bigoplus=⨁ bigvee=⋁ bigwedge=⋀");

export const functions = new Set(("arccos arcsin arctan arg cos cosh cot csc deg det dim exp gcd hom inf ker lcm lg lim liminf limsup ln log max "
  + "min mod Pr sec sin sinh sup tan tanh").split(" "));

export const accents = table("hat=^ widehat=^ bar=¯ overline=¯ vec=→ overrightarrow=→ dot=˙ ddot=¨ tilde=~ widetilde=~");

export const alphabets = { mathbb: "double-struck", mathcal: "script", mathscr: "script", mathfrak: "fraktur", mathbf: "bold", boldsymbol: "bold" };
