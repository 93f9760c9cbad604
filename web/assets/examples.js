// What to ask: for the demonstration model problems of the kinds that it was trained on, for a real one something to think about.
export const examples = {
  demo: {
    en: [
      "358 + 467 = ?",
      "What is 17 × 24?",
      "What is 7^5 mod 13?",
      "Sort these numbers: 42, 7, 93, 15, 28",
      "Caesar cipher with shift 3: h e l l o",
      "Reverse the letters: q w e n",
      "Which is larger, 4821 or 4812?",
      "What is AES?",
    ],
    zh: [
      "358 + 467 等于多少？",
      "17乘以24等于多少？",
      "计算 7^5 mod 13",
      "把这些数从小到大排序： 42, 7, 93, 15, 28",
      "用凯撒密码加密，位移 3： h e l l o",
      "反转字母： q w e n",
      "4821 和 4812 哪个大？",
      "什么是AES加密算法？",
    ],
  },
  real: {
    en: [
      "Explain how the RSA cryptosystem works",
      "How would you design a secure way to store passwords?",
      "Prove that there are infinitely many primes",
      "Write a function that tells whether a string is a palindrome",
    ],
    zh: ["请解释RSA加密算法的工作原理", "如何设计一个安全的密码存储系统？", "证明素数有无穷多个", "写一个判断字符串是否为回文的函数"],
  },
};
